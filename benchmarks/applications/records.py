"""The record of the experiments: one CSV, one row per finished run."""

import datetime
from typing import Any, NamedTuple

from benchmarks.applications.experiments import SPLITS
from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds of an experiment.

    A mean is that of the last weights' greedy return, with the wordings of a split, and a success
    the share of quests that are met.
    """

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    train: float
    validation: float
    test: float
    train_success: float | None
    validation_success: float | None
    test_success: float | None
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
    measured: dict[str, Any] = {name: round(result[name], 5) for name in SPLITS}
    for name in SPLITS:
        success = result[f"{name}_success"]
        measured[f"{name}_success"] = None if success is None else round(success, 5)
    made_with: dict[str, Any] = provenance()
    return Row(
        experiment=experiment,
        seed=config.seed or 0,
        config_hash=config_hash(config),
        updates=result["updates"],
        env_steps=result["env_steps"],
        **measured,
        seconds=round(result["seconds"], 2),
        cpu_seconds=round(result["cpu_seconds"], 2),
        **made_with,
        machine=machine.describe(),
        date=datetime.date.today().isoformat(),
        settings=settings(config),
    )
