"""The record of the comparison: one CSV per environment, one row per finished run."""

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.offline import recording
from benchmarks.offline.data_sets import SEED
from benchmarks.offline.methods import Job, nameless
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.registry import directory_name
from dqn_tf.evaluation.statistics import bootstrap

if TYPE_CHECKING:
    from benchmarks.offline.collecting import DataSet

DATA_SETS = "data_sets.csv"


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds; `curve` is as in `scores`."""

    env: str
    data_set: str
    digest: str  # of the data, its first twelve digits; empty without data
    method: str
    seed: int
    config_hash: str
    offline_updates: int
    updates: int
    env_steps: int
    score: float | None  # mean return of the final test, last weights; of scored methods
    steps_to_threshold: int | None  # of the others; None if it was not reached
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
    curve: str


class DataRow(NamedTuple):
    """One data set, as it was made, and the best tenth of its episodes.

    `mean` is that of the returns of its episodes, with its 95 % interval.
    """

    env: str
    data_set: str
    digest: str
    best_digest: str
    seed: int
    rows: int
    episodes: int
    mean: float
    low: float
    high: float
    best_mean: float
    policy: float | None  # mean greedy return of the policy that played it, in its evaluation


def row(job: Job, config: DQNConfig, digest: str, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what `run_one.Runner.run` returned."""
    config = nameless(config)
    score = result["score"]
    return Row(
        env=job.env,
        data_set=job.data_set,
        digest=digest[:12],
        method=job.method,
        seed=job.seed,
        config_hash=config_hash(config),
        offline_updates=config.offline_updates,
        updates=result["updates"],
        env_steps=result["env_steps"],
        score=None if score is None else round(score, 4),
        steps_to_threshold=result["steps_to_threshold"],
        seconds=round(result["seconds"], 2),
        cpu_seconds=round(result["cpu_seconds"], 2),
        **provenance(),
        machine=machine.describe(),
        date=datetime.date.today().isoformat(),
        settings=settings(config),
        curve=" ".join(f"{step}:{value:.6g}" for step, value in result["curve"]),
    )


def data_row(env: str, data_set: "DataSet", digests: tuple[str, str]) -> DataRow:
    """Make the record of a data set; `digests` are its own and that of its best tenth."""
    returns = recording.returns(data_set.columns)
    low, high = bootstrap(returns, np.mean)
    return DataRow(
        env=env,
        data_set=data_set.name,
        digest=digests[0][:12],
        best_digest=digests[1][:12],
        seed=SEED,
        rows=len(data_set.columns["action"]),
        episodes=len(returns),
        mean=round(float(returns.mean()), 4),
        low=round(low, 4),
        high=round(high, 4),
        best_mean=round(float(recording.returns(data_set.best).mean()), 4),
        policy=None if data_set.policy is None else round(data_set.policy, 4),
    )


def path(directory: Path, env: str) -> Path:
    """Return the file of the environment's runs."""
    return directory / f"{directory_name(env)}.csv"
