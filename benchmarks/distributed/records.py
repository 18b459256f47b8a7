"""The record of the measures: one CSV, one row per finished run."""

from typing import Any, NamedTuple

from benchmarks.common import run_records
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"
DIGITS = {"score": 3, "timed_seconds": 3, "start_seconds": 2, "target_seconds": 2}


class Row(NamedTuple):
    """One run. A column is empty where the measure does not have it.

    `worker_...` are means over the workers at the run's end, with shared pages (`rss`) and with
    shared pages divided (`pss`). `cpu_seconds` is of the process and of all that it started,
    `seconds` of its blocks alone.
    """

    experiment: str
    seed: int  # the round, too
    config_hash: str
    updates: int
    env_steps: int
    timed_steps: int | None
    timed_seconds: float | None
    start_seconds: float  # from loaded libraries to the first block
    worker_rss_mib: float | None
    worker_pss_mib: float | None
    learner_rss_mib: float | None
    target_seconds: float | None
    target_steps: int | None
    score: float | None  # mean greedy return of the test
    curve: str  # `step:mean greedy return` of each evaluation, separated by spaces
    seconds: float
    cpu_seconds: float
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    versions: str  # of what runs beside these
    machine: str
    date: str
    settings: str  # flags of train.py

    @property
    def steps_per_second(self) -> float:
        """Environment steps per second while timed."""
        assert self.timed_steps is not None and self.timed_seconds is not None
        return self.timed_steps / self.timed_seconds


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what its process answered."""
    columns = run_records.columns(config, result)
    for name in Row._fields:
        value: Any = result.get(name)
        if name not in columns and name != "experiment":
            is_float = isinstance(value, float)
            columns[name] = round(value, DIGITS.get(name, 1)) if is_float else value
    return Row(experiment=experiment, **columns)
