"""Several environments stepped together, each episode reset with a seed of its own.

A Gymnasium vector environment with SAME_STEP autoreset. Two things set it apart from SyncVectorEnv:
every episode's seed is a function of (run seed, environment, episode), and the actions of the
running episodes are remembered. Together they make the environments' state a few integers, so a
checkpoint needs no environment to be saved: `restore` plays the running episodes back.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from dqn_tf.config import seeding
from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import known_spaces, without_mask
from dqn_tf.support.closing import closed_on_error


class StepRow(NamedTuple):
    """Where one step of N environments is written.

    Attributes:
      reward: [N] float.
      terminated, truncated: [N] bool.
      next_observation: [N, *shape], at an episode's end the true last one.
      next_action_mask: [N, A] bool, or [N, 0] where the environments have no masks.
    """

    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observation: np.ndarray
    next_action_mask: np.ndarray


class SeededVectorEnv(gym.vector.VectorEnv):
    """`num_envs` environments with one shape of observation, stepped one after the other.

    Observations are `[N, *shape]` in `Spaces.observation_dtype`; actions are counted from 0. Raises
    UserError when an environment raises, or returns another shape, type or category than its
    spaces have. The bounds of a Box are not looked at.
    """

    def __init__(
        self, make_env: Callable[[], gym.Env], num_envs: int, seed: int, first: int = 0
    ) -> None:
        """Make the environments; `first` is the number of the first one among all of a run."""
        spaces = known_spaces(make_env)
        self.envs: list[CheckedEnv] = []
        with closed_on_error() as opened:
            opened.callback(close_all, self.envs)
            for number in range(first, first + num_envs):
                self.envs.append(CheckedEnv(make_env(), f"Environment {number}", spaces))
        self.num_envs = num_envs
        self.spaces = self.envs[0].spaces
        one = self.envs[0].env
        self.metadata = {**(one.metadata or {}), "autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space, _ = without_mask(one.observation_space)
        self.single_action_space = gym.spaces.Discrete(self.spaces.actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._seed = seed
        self._first = first
        self._episode = [0] * num_envs  # each environment's running episode, counted from 1
        self._actions: list[list[int]] = [[] for _ in range(num_envs)]  # taken in that episode
        shape = self.spaces.observation_shape
        self._observation = np.zeros((num_envs, *shape), self.spaces.observation_dtype)
        for index, env in enumerate(self.envs):
            # a view, of single numbers too
            env.into = self._observation[index : index + 1].reshape(shape)

    @property
    def action_mask(self) -> np.ndarray | None:
        """Which actions are legal now, [N, A] bool; None where the environments do not say."""
        if self.envs[0].mask is None:
            return None
        return np.array([env.mask for env in self.envs])

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start the next episode of every environment; return the observations `[N, *shape]`.

        The seeds are the run's own: `seed` is accepted only because Gymnasium's signature has it,
        and must be None.
        """
        if seed is not None or options:
            raise ValueError(
                "the seeds of the episodes derive from the seed given to the constructor"
            )
        for index in range(self.num_envs):
            self._reset_one(index)
        mask = self.action_mask
        infos = {} if mask is None else {"action_mask": mask}
        return self._observation.copy(), infos

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step each environment once.

        Returns the observations to act on next, rewards [N] float64, terminations and truncations
        [N] bool. Where an episode ended, the observation is the next episode's first one, and
        `infos["final_obs"][i]` holds the true last one (`infos["_final_obs"]` marks the rows), as
        in Gymnasium's SAME_STEP mode. With masks, `infos["action_mask"]` [N, A] is the one to act
        by next and `infos["final_action_mask"][i]` the one of the true last observation.
        """
        row = self._empty_row()
        observation = self.step_into(row, actions).copy()
        infos: dict[str, Any] = {}
        ended = row.terminated | row.truncated
        if ended.any():
            infos = {"_final_obs": ended}
            infos["final_obs"] = _where(ended, row.next_observation)
            infos["final_action_mask"] = _where(ended, row.next_action_mask)
        if self.envs[0].mask is not None:
            infos["action_mask"] = self.action_mask
        return observation, row.reward, row.terminated, row.truncated, infos

    def step_into(self, row: StepRow, actions: np.ndarray) -> np.ndarray:
        """Step each environment once, and write what came of it into the row.

        Returns the observations to act on next, [N, *shape]; they hold until the next step. Where
        an episode ended, that is the next episode's first one, and the row has the true last one.
        """
        ends = []
        start = self.spaces.action_start
        for index, action in enumerate(actions.tolist()):
            self._actions[index].append(action)
            env = self.envs[index]
            observation, reward, terminated, truncated = env.step(action + start)
            row.reward[index] = reward
            row.terminated[index] = terminated
            row.truncated[index] = truncated
            if terminated or truncated:
                # A copy: the next episode begins in the same row.
                ends.append((index, observation.copy(), env.mask))
                self._reset_one(index)
        row.next_observation[...] = self._observation
        if self.envs[0].mask is not None:
            row.next_action_mask[...] = self.action_mask
        for index, observation, mask in ends:
            row.next_observation[index] = observation
            if mask is not None:
                row.next_action_mask[index] = mask
        return self._observation

    def learning_signal(
        self, rewards: np.ndarray, terminations: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Turn the steps since the last call [T, N] into what learning sees of them.

        Returns rewards and terminations, which here are the environments' own.
        """
        return rewards, terminations

    def state(self) -> tuple[list[int], list[np.ndarray], np.ndarray]:
        """Return what `restore` needs.

        These are the numbers of the running episodes, their actions so far, and the newest
        observations [N, *shape].
        """
        actions = [np.array(taken, np.int64) for taken in self._actions]
        return list(self._episode), actions, self._observation.copy()

    def restore(
        self,
        episodes: list[int],
        actions: list[np.ndarray],
        observation: np.ndarray,
        returns: np.ndarray | None = None,
    ) -> tuple[np.ndarray, list[int]]:
        """Play the running episodes back.

        `returns` [N] float64 are the sums of their rewards so far, NaN where they are not known.
        Returns the observations, and the environments that did not repeat theirs: with an earlier
        end, other observations or rewards, or wrappers whose statistics began anew.
        """
        played = np.array(
            [self._play_back(i, episodes[i], actions[i]) for i in range(self.num_envs)]
        )
        known = played if returns is None else np.where(np.isnan(returns), played, returns)
        differing = [
            index
            for index, env in enumerate(self.envs)
            if not np.array_equal(self._observation[index], observation[index])
            or env.running_statistics
            or not _are_close(played[index], known[index])
        ]
        return self._observation.copy(), differing

    def close_extras(self, **kwargs: Any) -> None:
        """Close every environment."""
        close_all(self.envs)

    def _reset_one(self, index: int) -> np.ndarray:
        self._episode[index] += 1
        self._actions[index] = []
        position = (self._first + index, self._episode[index])
        seed = seeding.episode_seed(self._seed, seeding.TRAINING, *position)
        return self.envs[index].reset(seed)

    def _play_back(self, index: int, episode: int, actions: np.ndarray) -> float:
        """Play an episode's first actions; return the sum of the rewards, each as float32.

        It is NaN where the episode ends, which it did not: then the next one is under way.
        """
        self._episode[index] = episode - 1
        self._reset_one(index)
        total = 0.0
        for action in actions.tolist():
            self._actions[index].append(action)
            _, reward, terminated, truncated = self.envs[index].step(
                action + self.spaces.action_start
            )
            total += float(np.float32(reward))
            if terminated or truncated:
                self._reset_one(index)
                return math.nan
        return total

    def _empty_row(self) -> StepRow:
        masks = (self.num_envs, 0 if self.envs[0].mask is None else self.spaces.actions)
        return StepRow(
            reward=np.zeros(self.num_envs),
            terminated=np.zeros(self.num_envs, bool),
            truncated=np.zeros(self.num_envs, bool),
            next_observation=np.zeros_like(self._observation),
            next_action_mask=np.zeros(masks, bool),
        )


def _where(ended: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values of the rows that ended, each an object, and None in the others."""
    objects = np.full(len(ended), None, object)
    for index in ended.nonzero()[0]:
        objects[index] = values[index]
    return objects


def _are_close(played: float, before: float) -> bool:
    """Tell whether two sums of the same rewards are equal, up to the order of summing."""
    return abs(played - before) <= 1e-6 * max(1.0, abs(before))
