"""A wrapper that changes observations, of an environment that may return anything."""

from __future__ import annotations

import abc
from typing import Any

import gymnasium as gym

from dqn_tf.envs import returned


class Observing(gym.Wrapper, abc.ABC):
    """Observes what `observation` makes of the environment's own observations.

    Unlike Gymnasium's ObservationWrapper it looks at what `reset` and `step` return.
    """

    def reset(self, **arguments: Any) -> tuple[Any, Any]:
        """Reset the environment. Raises Refused."""
        observation, info = returned.reset_answer(self.env.reset(**arguments))
        return self.observation(observation), info

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Any]:
        """Take a step. Raises Refused."""
        observation, *rest = returned.step_answer(self.env.step(action))
        return self.observation(observation), *rest

    @abc.abstractmethod
    def observation(self, observation: Any) -> Any:
        """Return what is observed. Raises Refused where that is nothing that can be meant."""
