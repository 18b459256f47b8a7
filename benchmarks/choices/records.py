"""The record of the experiments: one CSV, one row per finished run."""

from typing import Any, NamedTuple

from benchmarks.common import run_records
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"
AFTER = "_after"  # behind the name of the run that begins with the weights of the other


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds of an experiment."""

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    score: float  # mean greedy return on what it was trained on, last weights
    score_four: float | None  # on the helpdesk of four pairs of issues, where choices are texts
    score_five: float | None  # on that of five, which has two more answers and a question
    episodes: int  # of each score
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
    """Make the record of one finished run, from what `run_one.train` returned."""
    scores: dict[str, Any] = {
        name: None if result[name] is None else round(result[name], 5)
        for name in ("score", "score_four", "score_five")
    }
    return Row(
        experiment=experiment,
        score=scores["score"],
        score_four=scores["score_four"],
        score_five=scores["score_five"],
        episodes=result["episodes"],
        **run_records.columns(config, result),
    )
