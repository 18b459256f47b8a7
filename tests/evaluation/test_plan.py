"""What models that are compared play."""

from pathlib import Path

import pytest

from dqn_tf.evaluation.find_export import Version
from dqn_tf.evaluation.plan import configuration
from dqn_tf.support.errors import UserError

ENV = "CartPole-v1"
ARGUMENTS = {"sutton_barto_reward": True}


def version(name: str, **config) -> Version:
    """A version; without a `config` its manifest says nothing of its training."""
    manifest = {"env": ENV}
    if config:
        manifest["config"] = {"env": ENV, "env_wrappers": "", **config}
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
