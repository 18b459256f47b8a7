"""What a run says at its end if it has not reached what it could: what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.run_files import metrics_file
from dqn_tf.support.command_line import other_command

MANY = 0.1  # of the test's episodes
EPISODES = 20  # at a run's beginning, which are played nearly at random
# of Rainbow, those that cost next to no time: by setting, its value without and how it is typed
PARTS = {
    "n_step": (1, "--n_step=3"),
    "double": (False, "--double"),
    "dueling": (False, "--dueling"),
}


def what_to_try(
    config: DQNConfig,
    test: dict[str, Any],
    first: Sequence[float],
    threshold: float | None,
    time_limit: int | None,
) -> list[str]:
    """Return lines for the terminal; none if there is nothing to say.

    Something is said if the final `test`, an `Evaluation.summary`, is below the `threshold` from
    which the environment counts as solved (None if it names none), or no better than the returns
    of the `first` training episodes. More is said if many of the test's episodes lasted until the
    environment's `time_limit` in steps (None if it has none) and were no better than the others.
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
            *_against_waiting(config, test, time_limit),
            *_twice(config, "total_steps"),
            *[f"  {' '.join(parts)}"] * bool(parts),
        ]
    return []


def _against_waiting(config: DQNConfig, test: dict[str, Any], time_limit: int | None) -> list[str]:
    """Return what helps an agent that lets the time run out rather than risk an end.

    To wait costs little where what comes later hardly counts; and whoever has seldom seen a good
    end in training does not look for one.
    """
    episodes, waiting = test["episodes"], test["longest_episodes"]
    if time_limit is None or test["max_length"] != time_limit or waiting < MANY * episodes:
        return []
    mean = test["longest_mean"]
    if mean > test["mean"]:
        return []
    half = config.total_steps // 2
    typed = [f"--epsilon_end={min(2 * config.epsilon_end, 1.0):g}"]
    if config.epsilon_decay_env_steps < half:
        typed = [f"--epsilon_decay_env_steps={half}"]
    if config.gamma < 1.0 - 1.0 / time_limit:
        typed = [f"--gamma={(1.0 + config.gamma) / 2.0:g}", *typed]
    return [
        f"  {' '.join(typed)}  ({waiting} of {episodes} test episodes ran into the time limit of"
        f" {time_limit:,} steps, with a mean return of {mean:.1f}: it waits)"
    ]


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
