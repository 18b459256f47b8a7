"""dqn_tf's own environments take the actions of their space, and nothing else."""

import gymnasium as gym
import pytest

from dqn_tf.envs import packages
from dqn_tf.support.errors import UserError

packages.register("dqn_tf/GridWorld-v0")
ENVS = sorted(env for env in gym.registry if env.startswith("dqn_tf/") and "Probe" not in env)


@pytest.mark.parametrize("env", ENVS)
def test_what_is_no_action_is_refused(env):
    made = gym.make(env, disable_env_checker=True)
    made.reset(seed=1)
    first, last = made.action_space.start, made.action_space.start + made.action_space.n - 1
    for action in (first - 1, last + 1, 99, first + 0.5):
        with pytest.raises(UserError, match=f"^{env} has no action {action}: there are {first} to"):
            made.step(action)
    made.step(last)
