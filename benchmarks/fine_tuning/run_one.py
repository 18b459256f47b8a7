"""One run, or a run with a frozen model and then one in which the model learns."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pretrained.run_one import SPLITS
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block
from dqn_tf.evaluation.library import evaluate
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.training import trainer
from dqn_tf.training.plan import RunPlan
from dqn_tf.training.recorder import RunRecorder
from dqn_tf.training.run import Run, RunObserver


class UpdateSeconds(RunObserver):
    """Keeps the CPU seconds of an update with its steps: the median is without compilation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def before_block(self, run: Run) -> None:
        """Start the clock."""
        self._start = time.process_time()
        self._updates = run.engine.updates

    def after_block(self, run: Run, block: Block) -> None:
        """Take the block's time, where it had updates."""
        updates = run.engine.updates - self._updates
        if updates:
            self.seconds.append((time.process_time() - self._start) / updates)


def run(config: DQNConfig, first: DQNConfig | None, episodes: int) -> dict[str, Any]:
    """Learn, after `first` where there is one; return scores and costs by column of the record.

    Costs are those of the run itself, its reading of the texts included, the memory that of the
    process. Raises UserError if learning breaks.
    """
    with tempfile.TemporaryDirectory() as directory:
        if first is not None:
            _train_in(first, Path(directory) / "first")
            config = dataclasses.replace(config, initial_weights=str(Path(directory) / "first"))
        start, cpu_start = time.monotonic(), time.process_time()
        observer = UpdateSeconds()
        (trained,) = trainer.make_runs([config], [observer])
        try:
            trainer.run_blocks([trained])
            trained.engine.sync_agent()
            result = {
                "seconds": time.monotonic() - start,
                "cpu_seconds": time.process_time() - cpu_start,
                "update_cpu_seconds": float(np.median(observer.seconds)),
                "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "episodes": episodes,
            }
            for split in SPLITS:
                told = dataclasses.replace(config, env_kwargs=config.env_kwargs | {"split": split})
                result[split] = evaluate(trained.agent, told, episodes=episodes).mean
        finally:
            trained.close()
    learning = trained.agent.online.trainable_variables
    return result | {
        "weights": sum(int(np.prod(variable.shape)) for variable in learning),
        "updates": trained.engine.updates,
        "env_steps": trained.engine.env_step,
    }


def _train_in(config: DQNConfig, directory: Path) -> None:
    """Train, and leave a run directory that another run begins with."""
    (trained,) = trainer.make_runs([config])
    try:
        with RunDirectory.create(directory) as run_dir:
            export_dir = directory / "saved_model"  # none is made
            plan = RunPlan(config, trained.agent.spaces, run_dir, directory, export_dir, "stop")
            recorder = RunRecorder(plan, trained)
            try:
                trainer.run_blocks([trained])
            finally:
                recorder.close()
    finally:
        trained.close()
