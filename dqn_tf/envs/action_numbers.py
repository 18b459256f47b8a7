"""The actions of dqn_tf's own environments: numbers of their space, and nothing else."""

from typing import Any

import gymnasium as gym

from dqn_tf.support.errors import UserError


def action_of(env: gym.Env, action: Any) -> int:
    """Return the action as an int. Raises UserError if the environment has no such action."""
    space = env.action_space
    assert isinstance(space, gym.spaces.Discrete)
    number = int(action)
    first = int(space.start)
    last = first + int(space.n) - 1
    if not (first <= number <= last and number == action):
        name = env.spec.id if env.spec else type(env).__name__
        raise UserError(f"{name} has no action {action}: there are {first} to {last}.")
    return number
