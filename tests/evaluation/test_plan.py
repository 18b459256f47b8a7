"""What models that are compared play."""

from pathlib import Path

import pytest

from dqn_tf.evaluation.find_export import Version
from dqn_tf.evaluation.plan import configuration
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"
ARGUMENTS = {"sutton_barto_reward": True}


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
