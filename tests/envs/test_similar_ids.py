"""An id that is not registered is answered with the ids that were meant."""

import pytest

from dqn_tf.config import presets
from dqn_tf.envs import registry, similar_ids
from dqn_tf.support.errors import UserError


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("cartpole-v1", "CartPole-v1"),
        ("frozenlake8x8-v1", "FrozenLake8x8-v1"),
        ("gymnasium:cartpole-v1", "CartPole-v1"),
        ("Gymnasium/CartPole-v1", "CartPole-v1"),  # a namespace that nothing has registered
        ("JobPlacement-v0", "dqn_tf/JobPlacement-v0"),
        ("Helpdesk-v0", "dqn_tf/Helpdesk-v0"),
        ("Atari/Pong-v5", "ALE/Pong-v5"),
        ("pong", "ALE/Pong-v5"),
    ],
)
def test_the_id_that_was_meant_is_named(typed, meant):
    with pytest.raises(UserError) as caught:
        registry.maker(presets.configure(typed, {}))
    assert str(caught.value).endswith(f" is not registered. Did you mean {meant}?")


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("highway-fast-v0", "highway_env:highway-fast-v0"),
        ("PongNoFrameskip-v4", "ALE/Pong-v5"),
        ("PongDeterministic-v4", "ALE/Pong-v5"),
    ],
)
def test_ids_that_packages_register_once_they_are_imported(typed, meant):
    assert meant in similar_ids.similar_ids(typed)


@pytest.mark.parametrize("game", ["PongNoFrameskip-v4", "PongDeterministic-v4", "Pong-v0"])
def test_a_game_as_gym_had_it_is_not_played_without_the_protocol(game):
    pytest.importorskip("ale_py")
    with pytest.raises(UserError, match=f"=ale_py:{game} .*Did you mean ALE/Pong-v5\\?"):
        registry.maker(presets.configure(f"ale_py:{game}", {}))


def test_games_of_two_packages_are_both_named_and_registered_once(recwarn):
    pytest.importorskip("ale_py")
    pytest.importorskip("minatar")
    for typed in ("MinAtar/breakout-v1", "breakout-v1"):
        with pytest.raises(UserError, match="mean ALE/Breakout-v5 or MinAtar/Breakout-v1\\?"):
            registry.maker(presets.configure(typed, {}))
    assert not [warning for warning in recwarn if "already in registry" in str(warning.message)]
