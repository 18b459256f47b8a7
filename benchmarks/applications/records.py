"""The record of the experiments: one CSV, one row per finished run."""

from typing import Any, NamedTuple

from benchmarks.applications.experiments import SPLITS
from benchmarks.common import run_records
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
    return Row(
        experiment=experiment,
        **measured,
        **run_records.columns(config, result),
    )
