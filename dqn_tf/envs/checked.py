"""One environment, held to what its own spaces say."""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.spaces import describe
from dqn_tf.errors import UserError


class CheckedEnv:
    """Resets and steps an environment; whatever it does wrong ends in a UserError with step, action and seed.

    Observations come as `Spaces.observation_dtype`; actions are the environment's own.
    """

    def __init__(self, env: gym.Env, name: str) -> None:
        self.env, self.spaces = env, describe(env.observation_space, env.action_space)
        self._name, self._dtype = name, np.dtype(self.spaces.observation_dtype)
        self._seed, self._steps = None, 0

    def reset(self, seed: int) -> np.ndarray:
        """The first observation of the episode with this seed."""
        self._seed, self._steps = seed, 0
        try:
            observation, _ = self.env.reset(seed=seed)
        except Exception as error:
            raise UserError(f"{self._name} raised {type(error).__name__} in reset(seed={seed}): {error}") from error
        return self._observation(observation)

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Observation, reward, terminated, truncated."""
        self._steps += 1
        try:
            observation, reward, terminated, truncated, _ = self.env.step(action)
        except Exception as error:
            raise UserError(f"{self._name} raised {type(error).__name__} in step({action}): {error} ({self._where()})") from error
        return self._observation(observation), self._reward(reward), bool(terminated), bool(truncated)

    def _reward(self, reward: Any) -> float:
        if not isinstance(reward, (float, int)):
            array = np.asarray(reward)
            if array.size != 1 or array.dtype.kind not in "biuf":
                raise UserError(f"{self._name} returned the reward {reward!r}: it must be one number ({self._where()}).")
            reward = array.item()
        return float(reward)

    def _observation(self, observation: Any) -> np.ndarray:
        array, spaces = np.asarray(observation), self.spaces
        if array.shape != spaces.observation_shape:
            raise UserError(f"{self._name} returned an observation of shape {list(array.shape)}, but its space says "
                            f"{list(spaces.observation_shape)} ({self._where()}).")
        if array.dtype != self._dtype:
            if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, self._dtype, "same_kind"):
                raise UserError(f"{self._name} returned an observation of type {array.dtype}, but its space says {self._dtype} ({self._where()}).")
            array = array.astype(self._dtype)
        if spaces.categories and not 0 <= array - spaces.category_start < spaces.categories:
            raise UserError(f"{self._name} returned the observation {array}, but its space says {spaces.category_start} to "
                            f"{spaces.category_start + spaces.categories - 1} ({self._where()}).")
        return array

    def _where(self) -> str:
        return f"step {self._steps} of the episode reset with seed {self._seed}"
