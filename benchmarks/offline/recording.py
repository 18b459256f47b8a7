"""A collector that keeps the steps that it takes, and writes them as logged episodes."""

from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.experience.collector import LocalCollector
from dqn_tf.experience.q_function import QFunction
from dqn_tf.experience.steps import Steps
from dqn_tf.support import files

Columns = dict[str, np.ndarray]
KEPT = ("observation", "action", "env_reward", "terminated", "truncated", "next_observation")


class RecordingCollector(LocalCollector):
    """Steps one environment as `LocalCollector` does, and keeps a copy of all steps."""

    def __init__(
        self,
        config: DQNConfig,
        make_env: Callable[[], gym.Env],
        q_function: QFunction,
        generator: np.random.Generator,
    ) -> None:
        super().__init__(config, make_env, q_function, generator)
        self._action_start = self.shards[0].env.spaces.action_start
        self._kept: dict[str, list[np.ndarray]] = {name: [] for name in KEPT}

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """As described in `Collector`."""
        steps = super().collect(length, epsilon)
        for name, parts in self._kept.items():
            parts.append(getattr(steps, name)[:, 0].copy())
        return steps

    def recorded(self) -> Columns:
        """Return all steps so far as the columns of an npz file of logged episodes.

        The last episode is truncated where the recording stops.
        """
        kept = {name: np.concatenate(parts) for name, parts in self._kept.items()}
        kept["truncated"][-1] |= not kept["terminated"][-1]
        ended = kept["terminated"] | kept["truncated"]
        return {
            "observation": kept["observation"],
            "action": kept["action"] + self._action_start,
            "reward": kept["env_reward"],
            "terminated": kept["terminated"],
            "truncated": kept["truncated"] & ~kept["terminated"],
            "episode": np.cumsum(ended) - ended,
            "final_observation": kept["next_observation"][ended],
        }


def joined(first: Columns, second: Columns) -> Columns:
    """Return the episodes of both, the second's numbered on."""
    second = second | {"episode": second["episode"] + first["episode"][-1] + 1}
    return {name: np.concatenate([first[name], second[name]]) for name in first}


def returns(columns: Columns) -> np.ndarray:
    """Return the sum of each episode's rewards, [E] float64."""
    return np.bincount(columns["episode"], columns["reward"])


def best_episodes(columns: Columns, share: float) -> Columns:
    """Return the episodes with the highest returns: this share of all, and at least one."""
    episode_returns = returns(columns)
    count = max(1, round(share * len(episode_returns)))
    best = np.sort(np.argsort(-episode_returns, kind="stable")[:count])
    rows = np.isin(columns["episode"], best)
    chosen = {name: column[rows] for name, column in columns.items() if name != "final_observation"}
    chosen["episode"] = np.searchsorted(best, chosen["episode"])
    return chosen | {"final_observation": columns["final_observation"][best]}


def write(path: Path, columns: Columns) -> None:
    """Write an npz file of logged episodes, in the schema of docs/offline.md."""
    with files.replaced(path) as aside, aside.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **columns)
