"""One environment, held to what its own spaces say."""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.spaces import describe
from dqn_tf.support.errors import UserError


class CheckedEnv:
    """Resets and steps an environment; raises UserError, naming step and seed, for what is wrong.

    Observations come as `Spaces.observation_dtype`; actions are the environment's own. `mask` is
    [A] bool, the actions that are legal now, where the environment says so: in
    `info["action_mask"]` or in a Dict observation of `observation` and `action_mask`. Otherwise it
    is None.
    """

    mask: np.ndarray | None = None

    def __init__(self, env: gym.Env, name: str) -> None:
        self.env = env
        self.spaces = describe(env.observation_space, env.action_space)
        self._name = name
        self._shape = self.spaces.observation_shape
        self._dtype = np.dtype(self.spaces.observation_dtype)
        # asked once: wrappers make it a costly question
        self._mask_within = isinstance(env.observation_space, gym.spaces.Dict)
        self._seed = 0
        self._steps = 0

    def reset(self, seed: int) -> np.ndarray:
        """Return the first observation of the episode with this seed."""
        self._seed = seed
        self._steps = 0
        try:
            observation, info = self.env.reset(seed=seed)
        except Exception as error:
            raise UserError(
                f"{self._name} raised {type(error).__name__} in reset(seed={seed}): {error}"
            ) from error
        return self._observation(self._without_mask(observation, info))

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool]:
        """Return observation, reward, terminated, truncated."""
        self._steps += 1
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            raise UserError(
                f"{self._name} raised {type(error).__name__} in step({action}): {error}"
                f" ({self._moment()})"
            ) from error
        if self._mask_within or self.mask is not None or "action_mask" in info:
            observation = self._without_mask(observation, info, ended=bool(terminated or truncated))
        return (
            self._observation(observation),
            self._reward(reward),
            bool(terminated),
            bool(truncated),
        )

    def _without_mask(self, observation: Any, info: dict[str, Any], ended: bool = False) -> Any:
        """Take the mask out of observation or info into `mask`; return the observation proper."""
        if self._mask_within:
            mask = observation["action_mask"]
            observation = observation["observation"]
        else:
            mask = info.get("action_mask")
        if mask is None:
            if self.mask is not None:
                raise UserError(
                    f"{self._name} gave no action_mask, though it gave one before"
                    f" ({self._moment()})."
                )
            return observation
        if self.mask is None and self._steps:
            raise UserError(
                f"{self._name} gave an action_mask, though it gave none before; reset must give one"
                f" too ({self._moment()})."
            )
        self.mask = np.asarray(mask).astype(bool)
        if self.mask.shape != (self.spaces.actions,):
            raise UserError(
                f"{self._name} gave an action_mask of shape {list(self.mask.shape)}: it must be"
                f" [{self.spaces.actions}], one for each action ({self._moment()})."
            )
        if not ended and not self.mask.any():
            raise UserError(
                f"{self._name} gave an action_mask that allows no action ({self._moment()})."
            )
        return observation

    def _reward(self, reward: Any) -> float:
        """Return the reward as a float; refuse what is not one number."""
        if not isinstance(reward, (float, int)):
            array = np.asarray(reward)
            if array.size != 1 or array.dtype.kind not in "biuf":
                raise UserError(
                    f"{self._name} returned the reward {reward!r}: it must be one number"
                    f" ({self._moment()})."
                )
            reward = array.item()
        return float(reward)

    def _observation(self, observation: Any) -> np.ndarray:
        """Return the observation as an array; refuse what its space does not allow."""
        array = np.asarray(observation)
        spaces = self.spaces
        # the usual case, which costs little
        if array.shape == self._shape and array.dtype == self._dtype and not spaces.categories:
            return array
        if array.shape != self._shape:
            raise UserError(
                f"{self._name} returned an observation of shape {list(array.shape)}, but its space"
                f" says {list(self._shape)} ({self._moment()})."
            )
        if array.dtype != self._dtype:
            is_number = array.dtype.kind in "biuf"
            if not is_number or not np.can_cast(array.dtype, self._dtype, "same_kind"):
                raise UserError(
                    f"{self._name} returned an observation of type {array.dtype}, but its space"
                    f" says {self._dtype} ({self._moment()})."
                )
            array = array.astype(self._dtype)
        if spaces.categories and not 0 <= array - spaces.category_start < spaces.categories:
            raise UserError(
                f"{self._name} returned the observation {array}, but its space says"
                f" {spaces.category_start} to {spaces.category_start + spaces.categories - 1}"
                f" ({self._moment()})."
            )
        return array

    def _moment(self) -> str:
        return f"step {self._steps} of the episode reset with seed {self._seed}"
