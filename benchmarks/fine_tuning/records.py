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
    episodes: int  # of each return
    update_cpu_seconds: float  # with its environment steps, median of the blocks
    memory_mib: int  # most that the process had, at any time
    seconds: float  # wall clock, without the run before it and without scores
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
    rounded = {name: round(result[name], 5) for name in ("train", "validation", "test")}
    return Row(
        experiment=experiment,
        weights=result["weights"],
        episodes=result["episodes"],
        update_cpu_seconds=round(result["update_cpu_seconds"], 4),
        memory_mib=result["memory_mib"],
        **rounded,
        **run_records.columns(config, result),
    )
