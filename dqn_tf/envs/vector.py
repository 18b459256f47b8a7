"""Several environments stepped together, each episode reset with a seed of its own.

A Gymnasium vector environment with SAME_STEP autoreset. Two things set it apart from SyncVectorEnv: every
episode's seed is a function of (run seed, environment, episode), and the actions of the running episodes are
remembered. Together they make the environments' state a few integers, so a checkpoint needs no environment
to be saved: `restore` plays the running episodes back.
"""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from dqn_tf import seeding
from dqn_tf.envs.spaces import describe
from dqn_tf.errors import UserError


class SeededVectorEnv(gym.vector.VectorEnv):
    """`num_envs` environments with one shape of observation, stepped one after the other.

    Observations are `[N, *shape]` in `Spaces.observation_dtype`; actions are counted from 0. Raises UserError
    when an environment raises, or returns what its own spaces do not allow.
    """

    def __init__(self, make: Callable[[], gym.Env], num_envs: int, seed: int) -> None:
        self.envs = [make() for _ in range(num_envs)]
        self.num_envs = num_envs
        self.spaces = describe(self.envs[0].observation_space, self.envs[0].action_space)
        self.metadata = self.envs[0].metadata | {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, self.single_action_space = self.envs[0].observation_space, self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(gym.spaces.Discrete(self.spaces.actions), num_envs)
        self._seed = seed
        self._episode = [0] * num_envs
        self._actions: list[list[int]] = [[] for _ in range(num_envs)]
        self._observation = np.zeros((num_envs, *self.spaces.observation_shape), self.spaces.observation_dtype)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Starts the next episode of every environment; returns the observations `[N, *shape]`.

        The seeds are the run's own: `seed` is accepted only because Gymnasium's signature has it, and must be None.
        """
        if seed is not None or options:
            raise ValueError("the seeds of the episodes derive from the seed given to the constructor")
        for index in range(self.num_envs):
            self._observation[index] = self._reset_one(index)
        return self._observation.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One step of each: observations to act on next, rewards [N] float64, terminations and truncations [N] bool.

        Where an episode ended, the observation is the next episode's first one, and `infos["final_obs"][i]` holds
        the true last one (`infos["_final_obs"]` marks the rows), as in Gymnasium's SAME_STEP mode.
        """
        rewards = np.zeros(self.num_envs)
        terminations = np.zeros(self.num_envs, bool)
        truncations = np.zeros(self.num_envs, bool)
        infos: dict[str, Any] = {}
        for index, action in enumerate(actions.tolist()):
            observation, reward, terminated, truncated = self._step_one(index, action)
            rewards[index], terminations[index], truncations[index] = reward, terminated, truncated
            if terminated or truncated:
                if not infos:
                    infos = {"final_obs": np.full(self.num_envs, None, object), "_final_obs": np.zeros(self.num_envs, bool)}
                # A copy: an environment may write its next episode into the same array.
                infos["final_obs"][index], infos["_final_obs"][index] = observation.copy(), True
                observation = self._reset_one(index)
            self._observation[index] = observation
        return self._observation.copy(), rewards, terminations, truncations, infos

    def state(self) -> tuple[list[int], list[np.ndarray], np.ndarray]:
        """What `restore` needs: running episode numbers, their actions so far, and their last observations."""
        return list(self._episode), [np.array(actions, np.int64) for actions in self._actions], self._observation.copy()

    def restore(self, episodes: list[int], actions: list[np.ndarray], observation: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Plays the running episodes back; returns the observations and the environments that did not repeat theirs."""
        for index in range(self.num_envs):
            self._episode[index] = episodes[index] - 1
            self._observation[index] = self._reset_one(index)
            for action in actions[index].tolist():
                self._observation[index], _, terminated, truncated = self._step_one(index, action)
                if terminated or truncated:
                    self._observation[index] = self._reset_one(index)
                    break
        differing = [index for index in range(self.num_envs)
                     if not np.array_equal(self._observation[index], observation[index])]
        return self._observation.copy(), differing

    def close_extras(self, **kwargs: Any) -> None:
        """Closes every environment."""
        for env in self.envs:
            env.close()

    def _reset_one(self, index: int) -> np.ndarray:
        self._episode[index] += 1
        self._actions[index] = []
        seed = self._episode_seed(index)
        try:
            observation, _ = self.envs[index].reset(seed=seed)
        except Exception as error:
            raise UserError(f"Environment {index} raised {type(error).__name__} in reset(seed={seed}): {error}") from error
        return self._checked(index, observation)

    def _step_one(self, index: int, action: int) -> tuple[np.ndarray, float, bool, bool]:
        self._actions[index].append(action)
        try:
            observation, reward, terminated, truncated, _ = self.envs[index].step(action + self.spaces.action_start)
        except Exception as error:
            raise UserError(f"Environment {index} raised {type(error).__name__} in step({action + self.spaces.action_start}): {error} "
                            f"({self._where(index)})") from error
        if not isinstance(reward, (float, int)):
            reward = self._number(index, reward)
        return self._checked(index, observation), reward, terminated, truncated

    def _number(self, index: int, reward: Any) -> float:
        array = np.asarray(reward)
        if array.size != 1 or array.dtype.kind not in "biuf":
            raise UserError(f"Environment {index} returned the reward {reward!r}: it must be one number ({self._where(index)}).")
        return float(array.item())

    def _checked(self, index: int, observation: Any) -> np.ndarray:
        array, spaces = np.asarray(observation), self.spaces
        if array.shape != spaces.observation_shape:
            raise UserError(f"Environment {index} returned an observation of shape {list(array.shape)}, but its space says "
                            f"{list(spaces.observation_shape)} ({self._where(index)}).")
        if array.dtype != self._observation.dtype and (
                array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, spaces.observation_dtype, "same_kind")):
            raise UserError(f"Environment {index} returned an observation of type {array.dtype}, but its space says "
                            f"{spaces.observation_dtype} ({self._where(index)}).")
        if spaces.categories and not 0 <= array - spaces.category_start < spaces.categories:
            raise UserError(f"Environment {index} returned the observation {array}, but its space says {spaces.category_start} to "
                            f"{spaces.category_start + spaces.categories - 1} ({self._where(index)}).")
        return array

    def _where(self, index: int) -> str:
        return f"step {len(self._actions[index])} of its episode {self._episode[index]}, reset with seed {self._episode_seed(index)}"

    def _episode_seed(self, index: int) -> int:
        return seeding.episode_seed(self._seed, seeding.TRAINING, index, self._episode[index])
