"""What models that are compared play."""

from pathlib import Path

import pytest

from dqn_tf.config import presets
from dqn_tf.evaluation.find_export import Version
from dqn_tf.evaluation.plan import configuration
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"
ARGUMENTS = {"sutton_barto_reward": True}
TOLD_AS_TOKENS = {"choices": "texts", "choice_tokens": 5, "replay_unit": "transition"}


def version(name: str, env: str = ENV, **config) -> Version:
    """A version; without a `config` its manifest says nothing of its training."""
    manifest = {"env": env}
    if config:
        manifest["config"] = {"env": env, "env_wrappers": "", **config}
    return Version(Path(name), manifest)


@pytest.mark.parametrize("turned", [False, True])
def test_a_model_that_does_not_say_plays_what_the_other_was_trained_on(turned):
    pair = [version("a"), version("b", env_kwargs=ARGUMENTS)]
    pair = pair[::-1] if turned else pair
    assert configuration(pair, None, {}).env_kwargs == ARGUMENTS


@pytest.mark.parametrize("turned", [False, True])
def test_models_that_were_trained_on_different_arguments_need_a_flag(turned):
    pair = [version("a", env_kwargs={}), version("b", env_kwargs=ARGUMENTS)]
    pair = pair[::-1] if turned else pair
    with pytest.raises(UserError, match="different protocols: env_kwargs .* Say with --env_kwargs"):
        configuration(pair, None, {})
    assert configuration(pair, None, {"env_kwargs": {}}).env_kwargs == {}


def test_a_game_is_seen_as_it_was_before_its_size_was_a_setting():
    """Versions of earlier days do not record the size: it was 84."""
    former = version("a", "ALE/Pong-v5", frame_skip=4)
    assert configuration([former], None).screen_size == 84
    small = version("b", "ALE/Pong-v5", screen_size=42)
    assert configuration([small], None).screen_size == 42
    with pytest.raises(UserError, match="different protocols: screen_size 84 and 42"):
        configuration([former, small], None)


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("dqn_tf/NewsAlert-v0", {"choices": "texts", "replay_unit": "transition", "data": ()}),
        ("CartPole-v1", {"language_model": "m", "network": "gru"}),
        ("CartPole-v1", {"language_model": "m", "network": "gru"} | TOLD_AS_TOKENS),
        ("dqn_tf/TextMaze-v0", {"language_model": "m", "network": "transformer"} | TOLD_AS_TOKENS),
    ],
)
def test_what_was_trained_is_played_whatever_the_preset_says(env, settings):
    trained = presets.configure(env, settings).to_dict()
    del trained["env"]
    played = configuration([version("a", env, **trained)], None).to_dict()
    for name in ("choices", "choice_tokens", "language_model", "network"):
        assert played[name] == trained[name], name


@pytest.mark.parametrize("typed", [None, "Blackjack", "Blackjack-v1"])
def test_an_id_without_its_version_is_the_one_that_was_trained_on(typed):
    trained = version("a", "Blackjack-v1", env_kwargs={"sab": True})
    config = configuration([trained], typed)
    assert (config.env, config.env_kwargs) == ("Blackjack-v1", {"sab": True})
    other = configuration([trained, version("b", "Blackjack-v0", env_kwargs={})], "Blackjack")
    assert (other.env, other.env_kwargs) == ("Blackjack", {})
