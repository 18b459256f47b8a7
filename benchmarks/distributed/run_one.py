"""One run of dqn_tf: trains as `train.py` does with the same seed, without its files."""

import os
import time
from typing import Any

import numpy as np

from benchmarks.distributed import process_tree
from benchmarks.distributed.returns import TargetClock
from benchmarks.scores.run_one import CostObserver
from benchmarks.speed.stopwatch import Stopwatch
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block
from dqn_tf.training import trainer
from dqn_tf.training.run import Run


class Watcher(CostObserver):
    """Marks the time from a step on, and when the mean return reaches the target."""

    def __init__(self, config: DQNConfig, timed_from: int, target: float) -> None:
        super().__init__()
        self.watch = Stopwatch(timed_from, config.total_steps - timed_from)
        self.target = TargetClock(target)

    def after_block(self, run: Run, block: Block) -> None:
        """Add the costs and look at both clocks."""
        super().after_block(run, block)
        self.watch.at(run.engine.env_step)
        self.target.add([each.episode_return for each in block.episodes], run.engine.env_step)


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Train once; return what was measured by column of the record.

    `start_seconds` is from the loaded libraries to a run that is ready: Ray, the workers and the
    compiled program. Raises UserError if learning breaks.
    """
    config = DQNConfig.from_dict(order["config"])
    watcher = Watcher(config, order["timed_from"], order["target"])
    before = time.perf_counter()
    (trained,) = trainer.make_runs([config], [watcher])
    try:
        start_seconds = time.perf_counter() - before
        watcher.target.begin()
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        measured = _memory() | {"cpu_seconds": process_tree.cpu_seconds(os.getpid())}
        score = trained.score_last().test["mean"] if order["tests"] else None
    finally:
        trained.close()
    timed = order["timed_from"] > 0
    return measured | {
        "score": score,
        "timed_steps": watcher.watch.steps if timed else None,
        "timed_seconds": watcher.watch.seconds if timed else None,
        "start_seconds": start_seconds,
        "target_seconds": watcher.target.seconds,
        "target_steps": watcher.target.env_step,
        "curve": " ".join(f"{step}:{mean:.3f}" for step, mean in watcher.curve),
        "seconds": watcher.seconds,
        "updates": trained.engine.updates,
        "env_steps": trained.engine.env_step,
    }


def _memory() -> dict[str, float | None]:
    """Return the memory of this process, and the mean of the workers', in MiB."""
    own = process_tree.memory(os.getpid())
    workers = [process_tree.memory(pid) for pid in process_tree.actors(os.getpid())]
    found = [each for each in workers if each is not None]
    return {
        "learner_rss_mib": own.rss if own else None,
        "worker_rss_mib": float(np.mean([each.rss for each in found])) if found else None,
        "worker_pss_mib": float(np.mean([each.pss for each in found])) if found else None,
    }
