"""The record of the experiments: one CSV, one row per finished run."""

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
    weights: int  # that learn
    train: float  # mean greedy return on the wordings of each split, last weights
    validation: float
    test: float
    seconds: float  # wall clock of the whole run, compilation and reading included
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
        weights=result["weights"],
        train=round(result["train"], 5),
        validation=round(result["validation"], 5),
        test=round(result["test"], 5),
        **run_records.columns(config, result),
    )
