"""One run of a sweep: trains as `train.py` does with the same seed, without its files."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block
from dqn_tf.training import trainer
from dqn_tf.training.run import Run, RunObserver


class CostObserver(RunObserver):
    """Adds up the cost of the blocks, and keeps the evaluations.

    Attributes:
      seconds, cpu_seconds: wall and CPU time of collecting and learning, compilation included,
        evaluation left out.
      curve: (environment step, mean return) of each evaluation.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.curve: list[tuple[int, float]] = []
        self._start = 0.0
        self._cpu_start = 0.0

    def before_block(self, run: Run) -> None:
        """Start both clocks."""
        self._start = time.monotonic()
        self._cpu_start = time.process_time()

    def after_block(self, run: Run, block: Block) -> None:
        """Add the time of the block."""
        self.seconds += time.monotonic() - self._start
        self.cpu_seconds += time.process_time() - self._cpu_start

    def after_evaluation(self, run: Run, mean_return: float) -> None:
        """Keep a point of the learning curve."""
        self.curve.append((run.engine.env_step, mean_return))

    def columns(self, run: Run) -> dict[str, Any]:
        """Return what a run cost, by column of a record."""
        return {
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "updates": run.engine.updates,
            "env_steps": run.engine.env_step,
        }


@contextlib.contextmanager
def trained_run(config: DQNConfig) -> Iterator[tuple[Run, CostObserver]]:
    """Train once; give the run, whose agent has the last weights, and what it cost.

    Raises UserError if learning breaks.
    """
    costs = CostObserver()
    (trained,) = trainer.make_runs([config], [costs])
    try:
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        yield trained, costs
    finally:
        trained.close()


def run(config: DQNConfig) -> dict[str, Any]:
    """Train once and test; return scores and costs by column of the record.

    `score` is the mean of `test_episodes` greedy episodes on seeds used nowhere else, after the
    last update. `score_best` is the same for the weights that did best in the evaluations during
    the run. Raises UserError if learning breaks.
    """
    with trained_run(config) as (trained, costs):
        last, best = trained.score_both()
        return {
            "score": last.test["mean"],
            "score_best": best.test["mean"],
            "curve": costs.curve,
            **costs.columns(trained),
        }
