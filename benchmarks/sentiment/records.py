"""The record of the runs: one CSV, one row per method and seed."""

import datetime
from typing import Any, NamedTuple

from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.scores.variants import config_hash
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run, over all numbers of labels."""

    experiment: str
    seed: int
    config_hash: str
    accuracies: str  # labels:share of the test, with blanks between
    seconds: float  # wall clock of learning and scoring
    cpu_seconds: float
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    machine: str
    date: str

    def by_labels(self) -> dict[int, float]:
        """Return the share of the test by the number of labels."""
        pairs = [pair.split(":") for pair in self.accuracies.split()]
        return {int(labels): float(share) for labels, share in pairs}


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what `run_one.run` returned."""
    accuracies = result["accuracies"].items()
    return Row(
        experiment=experiment,
        seed=config.seed or 0,
        config_hash=config_hash(config),
        accuracies=" ".join(f"{labels}:{share:.4f}" for labels, share in accuracies),
        seconds=round(result["seconds"], 2),
        cpu_seconds=round(result["cpu_seconds"], 2),
        **provenance(),
        machine=machine.describe(),
        date=datetime.date.today().isoformat(),
    )
