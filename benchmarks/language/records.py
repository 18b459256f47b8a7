"""The record of the experiments: one CSV, one row per finished run."""

import datetime
from typing import Any, NamedTuple

from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds of an experiment."""

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    score: float  # mean greedy return over all starts, last weights
    success: float  # share of the starts
    starts: int
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
        seed=config.seed or 0,
        config_hash=config_hash(config),
        updates=result["updates"],
        env_steps=result["env_steps"],
        score=round(result["score"], 5),
        success=round(result["success"], 5),
        starts=result["starts"],
        seconds=round(result["seconds"], 2),
        cpu_seconds=round(result["cpu_seconds"], 2),
        **provenance(),
        machine=machine.describe(),
        date=datetime.date.today().isoformat(),
        settings=settings(config),
    )
