"""What a run says at its end if it has not reached what it could: what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.run_files import metrics_file
from dqn_tf.support.command_line import other_command

EPISODES = 20  # at a run's beginning, which are played nearly at random
# of Rainbow, those that cost next to no time: by setting, its value without and how it is typed
PARTS = {
    "n_step": (1, "--n_step=3"),
    "double": (False, "--double"),
    "dueling": (False, "--dueling"),
}


def what_to_try(
    config: DQNConfig, test: dict[str, Any], first: Sequence[float], threshold: float | None
) -> list[str]:
    """Return lines for the terminal; none if there is nothing to say.

    Something is said if the final `test`, an `Evaluation.summary`, is below the `threshold` from
    which the environment counts as solved (None if it names none), or no better than the returns
    of the `first` training episodes.
    """
    mean, (_, high) = test["mean"], test["mean_ci95"]
    if len(first) == EPISODES and mean <= _most_by_chance(first):
        return [
            f"That is no better than its first {EPISODES} episodes, played nearly at random: their"
            f" mean was {np.mean(first):.1f}. What to try:",
            f"  {other_command('doctor')} --env={config.env}",
            *_twice(config, "total_steps"),
            *_twice(config, "epsilon_decay_env_steps"),
        ]
    if threshold is not None and high < threshold:
        parts = [
            typed for name, (without, typed) in PARTS.items() if getattr(config, name) == without
        ]
        return [
            f"The environment calls {threshold:g} solved. What to try:",
            *_twice(config, "total_steps"),
            *[f"  {' '.join(parts)}"] * bool(parts),
        ]
    return []


def first_returns(metrics: Path) -> list[float]:
    """Return the returns of the first episodes in a run's metrics.csv, EPISODES at most."""
    rows = metrics_file.read(metrics)
    returns = [float(row["episode_return"]) for row in rows if row.get("episode_return")]
    return returns[:EPISODES]


def _most_by_chance(returns: Sequence[float]) -> float:
    """Return a mean that those who play like these hardly exceed: two standard errors above."""
    return float(np.mean(returns) + 2 * np.std(returns, ddof=1) / np.sqrt(len(returns)))


def _twice(config: DQNConfig, name: str) -> list[str]:
    """Return how twice a number of steps is typed; nothing for 0, whose double is 0."""
    steps = getattr(config, name)
    return [f"  --{name}={2 * steps}"] if steps else []
