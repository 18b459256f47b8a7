"""Episodes under way, as all that is needed to play them back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.experience.steps import Steps

ACTIONS = "running/actions/"  # and the number of the environment


def not_repeated(env: int) -> str:
    """Say of an environment that it was not played back, as the beginning of a sentence."""
    return f"environment {env} did not repeat its running episode from its seed and actions"


@dataclasses.dataclass
class RunningEpisodes:
    """The episodes that N environments are in the middle of.

    Attributes:
      episodes: their numbers, counted from 1, which decide their seeds.
      actions: those taken in each so far, [steps] int64.
      observation: the newest ones, [N, *shape].
      returns: sums of the rewards so far, [N] float64; None where they are not known.
    """

    episodes: list[int]
    actions: list[np.ndarray]
    observation: np.ndarray
    returns: np.ndarray | None = None

    @classmethod
    def begun(cls, observation: np.ndarray) -> RunningEpisodes:
        """Return the first episodes, of which nothing is played yet."""
        count = len(observation)
        actions = [np.zeros(0, np.int64) for _ in range(count)]
        return cls([1] * count, actions, observation, np.zeros(count))

    @classmethod
    def joined(cls, parts: Sequence[RunningEpisodes]) -> RunningEpisodes:
        """Return the episodes of several groups of environments, without their returns."""
        return cls(
            [episode for part in parts for episode in part.episodes],
            [actions for part in parts for actions in part.actions],
            np.concatenate([part.observation for part in parts]),
        )

    @classmethod
    def of_state(
        cls, values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> RunningEpisodes:
        """Take what `state` returned out of a checkpoint, whose returns are the engine's."""
        episodes = list(values["running_episode"])
        actions = [arrays[f"{ACTIONS}{index}"] for index in range(len(episodes))]
        return cls(episodes, actions, arrays["running/observation"], arrays.get("running/return"))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return them as a JSON value and as arrays, but for the returns."""
        arrays = {"running/observation": self.observation}
        arrays |= {f"{ACTIONS}{index}": taken for index, taken in enumerate(self.actions)}
        return {"running_episode": list(self.episodes)}, arrays

    def part(self, envs: range) -> RunningEpisodes:
        """Return the episodes of some environments."""
        rows = slice(envs.start, envs.stop)
        returns = None if self.returns is None else self.returns[rows]
        return RunningEpisodes(
            self.episodes[rows], self.actions[rows], self.observation[rows], returns
        )

    def after(self, steps: Steps, observation: np.ndarray) -> RunningEpisodes:
        """Return those under way after `steps`, with the newest `observation` [N, *shape]."""
        episodes = list(self.episodes)
        actions = list(self.actions)
        returns = np.zeros(len(episodes)) if self.returns is None else self.returns.copy()
        ended = steps.env_ended
        for index in range(len(episodes)):
            ends = np.flatnonzero(ended[:, index])
            start = 0
            if len(ends):
                episodes[index] += len(ends)
                start = int(ends[-1]) + 1
                actions[index] = np.zeros(0, np.int64)
                returns[index] = 0.0
            actions[index] = np.concatenate([actions[index], steps.action[start:, index]])
            returns[index] += steps.env_reward[start:, index].sum(dtype=np.float64)
        return RunningEpisodes(episodes, actions, observation, returns)
