"""The record of the runs: one CSV, one row per finished run."""

from typing import Any, NamedTuple

from benchmarks.common import run_records
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run, and what it is compared with.

    `config_hash` is the same for all seeds of an experiment.
    """

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    score: float  # mean greedy return of the last weights
    episodes: int  # of the score; 0 where it is computed from all chances
    optimum: float | None  # None where it is not known
    at_random: float
    others: str  # name=mean return of each rule, separated by commas
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

    def by_rule(self) -> dict[str, float]:
        """Return the mean return of each rule, by its name."""
        pairs = [pair.split("=") for pair in self.others.split(",") if pair]
        return {name: float(value) for name, value in pairs}


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what `run_one.run` returned."""
    return Row(
        experiment=experiment,
        score=round(result["score"], 5),
        episodes=result["episodes"],
        optimum=result["optimum"],
        at_random=result["at_random"],
        others=",".join(f"{name}={value}" for name, value in result["others"].items()),
        **run_records.columns(config, result),
    )
