"""The record of the chains: one CSV, one row per finished chain."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import run_records
from benchmarks.continual import measures
from benchmarks.continual.experiments import TASKS
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"
STAGES = ("untrained", "after_1", "after_2", "after_3")


class Row(NamedTuple):
    """One chain. `config_hash` is the same for all seeds of a method.

    Returns are means of greedy episodes on each of the three tasks: of the untrained network, and
    after each task.
    """

    experiment: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    untrained_on_1: float
    untrained_on_2: float
    untrained_on_3: float
    after_1_on_1: float
    after_1_on_2: float
    after_1_on_3: float
    after_2_on_1: float
    after_2_on_2: float
    after_2_on_3: float
    after_3_on_1: float
    after_3_on_2: float
    after_3_on_3: float
    episodes: int  # of each return
    seconds: float  # wall clock of updates and steps, compilation included
    cpu_seconds: float
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    machine: str
    date: str
    settings: str  # flags of train.py for the last task

    @property
    def returns(self) -> np.ndarray:
        """The returns [stage, task], the first stage being the untrained network."""
        tasks = range(1, len(TASKS) + 1)
        return np.array(
            [[getattr(self, f"{stage}_on_{task}") for task in tasks] for stage in STAGES]
        )

    @property
    def forgetting(self) -> float:
        """See `measures.forgetting`."""
        return measures.forgetting(self.returns)

    @property
    def final(self) -> float:
        """The mean return over the tasks at the end."""
        return float(self.returns[-1].mean())


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished chain, from what `run_one.run` returned."""
    returns: dict[str, Any] = {
        f"{stage}_on_{task}": round(value, 5)
        for stage, values in zip(STAGES, result["returns"], strict=True)
        for task, value in enumerate(values, 1)
    }
    return Row(
        experiment=experiment,
        episodes=result["episodes"],
        **returns,
        **run_records.columns(config, result),
    )
