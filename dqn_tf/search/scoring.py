"""Trains and scores the runs of one trial. Imports TensorFlow."""

import dataclasses
import gc
from collections.abc import Callable, Sequence

import tensorflow as tf

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import LearningBroke
from dqn_tf.training import trainer

Check = Callable[[], None]
# TensorFlow keeps what it has compiled as long as the process lives: 40 MB each time, on CartPole
MOST_BUILDS = 24
_builds = 0


def search_scores(config: DQNConfig, seeds: Sequence[int], check: Check) -> list[float]:
    """Train one run per seed, together where the engine can; return their scores.

    A score is the mean of `evaluation_episodes` greedy episodes after the last update, on the
    seeds that choose. Raises LearningBroke, other UserErrors, and what `check` raises.
    """
    return _scores(config, seeds, check, is_test=False)


def test_scores(config: DQNConfig, seeds: Sequence[int], check: Check) -> list[float]:
    """Do the same, but with `test_episodes` episodes on the seeds that report."""
    return _scores(config, seeds, check, is_test=True)


def is_worn() -> bool:
    """Tell whether so much was compiled here that a new process is better."""
    return _builds >= MOST_BUILDS


def _scores(config: DQNConfig, seeds: Sequence[int], check: Check, is_test: bool) -> list[float]:
    global _builds
    _builds += 1
    configs = [dataclasses.replace(config, seed=seed) for seed in seeds]
    runs = trainer.make_runs(configs, check=check)
    try:
        trainer.run_blocks(runs)
        if is_test:
            return [float(run.score_last().test["mean"]) for run in runs]
        for run in runs:
            run.evaluate()
        return [float(run.best.mean) for run in runs]
    finally:
        for run in runs:
            run.close()
        del runs
        # compiled programs of a trial are never used again
        tf.keras.backend.clear_session()
        gc.collect()


__all__ = ["LearningBroke", "is_worn", "search_scores", "test_scores"]
