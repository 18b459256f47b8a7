"""The record of scores: one CSV per environment, one row per finished run."""

import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import records
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.registry import directory_name


class Row(NamedTuple):
    """One run.

    Steps are environment steps. `curve` has `step:mean return` of each greedy evaluation, separated
    by spaces.
    """

    env: str
    variant: str
    seed: int
    config_hash: str
    total_steps: int
    score: float  # mean return of the final test, last weights
    score_best: float  # the same with the weights that were best in `curve`
    threshold: float | None  # Gymnasium's own
    steps_to_threshold: int | None
    seconds: float  # wall clock of collecting and learning
    cpu_seconds: float
    env_steps_per_second: float
    updates: int
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    date: str
    settings: str  # flags of train.py
    curve: str

    def points(self) -> np.ndarray:
        """Return the curve as numbers, [T, 2]."""
        return np.array([point.split(":") for point in self.curve.split()], float).reshape(-1, 2)


def row(config: DQNConfig, variant: str, result: dict[str, Any], threshold: float | None) -> Row:
    """Make the record of one finished run, from what `run_one.run` returned."""
    assert config.seed is not None
    steps_to_threshold = None
    if threshold is not None:
        at_or_above = (step for step, value in result["curve"] if value >= threshold)
        steps_to_threshold = next(at_or_above, None)
    return Row(
        env=config.env,
        variant=variant,
        seed=config.seed,
        config_hash=config_hash(config),
        total_steps=config.total_steps,
        score=round(result["score"], 4),
        score_best=round(result["score_best"], 4),
        threshold=threshold,
        steps_to_threshold=steps_to_threshold,
        seconds=round(result["seconds"], 2),
        cpu_seconds=round(result["cpu_seconds"], 2),
        env_steps_per_second=round(config.total_steps / result["seconds"], 1),
        updates=result["updates"],
        **records.provenance(),
        date=datetime.date.today().isoformat(),
        settings=settings(config),
        curve=" ".join(f"{step}:{value:.6g}" for step, value in result["curve"]),
    )


def path(directory: Path, env: str) -> Path:
    """Return the file of the environment's rows."""
    return directory / f"{directory_name(env)}.csv"


def picture(directory: Path, env: str) -> Path:
    """Return the file of the environment's learning curves."""
    return path(directory, env).with_suffix(".png")


def by_env(directory: Path) -> dict[str, list[Row]]:
    """Read all records in a directory. Raises UserError on a file that is not a record."""
    rows_by_env = {}
    for file in sorted(directory.glob("*.csv")):
        rows = records.read(file, Row)
        if rows:
            rows_by_env[rows[0].env] = rows
    return rows_by_env
