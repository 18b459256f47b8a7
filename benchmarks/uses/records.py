"""The record of the runs: one CSV, one row per finished run."""

from typing import Any, NamedTuple

from benchmarks.common import run_records
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds of an experiment."""

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    score: float  # mean greedy return of the last weights
    episodes: int  # of the score; 0 where it is computed from all chances
    seconds: float  # wall clock of updates and steps, compilation included
    cpu_seconds: float
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    machine: str
    date: str
    settings: str  # flags of train.py


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what `run_one.run` returned."""
    return Row(
        experiment=experiment,
        score=round(result["score"], 5),
        episodes=result["episodes"],
        **run_records.columns(config, result),
    )
