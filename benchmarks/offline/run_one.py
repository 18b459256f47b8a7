"""One run of the comparison: trains as `train.py` does with the same seed, without its files.

Runs that differ in seed and data alone share a compiled program, which takes longer to make than a
run of some thousand updates.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmarks.offline.methods import METHODS, NUMBERS, Job
from benchmarks.scores.run_one import CostObserver
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.factory import make_engines
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.training import trainer
from dqn_tf.training.run import Run, RunObserver
from dqn_tf.training.timings import Timings


class Stopped(Exception):
    """An evaluation was at or above the threshold, or the run has been given up."""


class ThresholdObserver(RunObserver):
    """Evaluates before the first environment step and every `period` after it; stops the run.

    It is stopped at the threshold, or at `limit` environment steps.

    Attributes:
      steps: environment steps at which the threshold was reached; None before.
      curve: (environment step, mean return) of each evaluation.
    """

    def __init__(self, threshold: float, period: int, limit: int) -> None:
        self.steps: int | None = None
        self.curve: list[tuple[int, float]] = []
        self._threshold = threshold
        self._period = period
        self._limit = limit
        self._due = 0

    def between_blocks(self, run: Run) -> None:
        """Evaluate if that is due. Raises Stopped."""
        engine = run.engine
        if engine.is_offline or engine.env_step < self._due:
            return
        self._due = (engine.env_step // self._period + 1) * self._period
        run.evaluate()
        if engine.env_step >= self._limit:
            raise Stopped

    def after_evaluation(self, run: Run, mean_return: float) -> None:
        """Keep a point of the learning curve. Raises Stopped."""
        self.curve.append((run.engine.env_step, mean_return))
        if mean_return >= self._threshold:
            self.steps = run.engine.env_step
            raise Stopped


class Runner:
    """Does runs one after the other, and keeps compiled agents for the next ones."""

    def __init__(self) -> None:
        self._compiled: dict[DQNConfig, DQN] = {}

    def run(self, job: Job, config: DQNConfig, logged: Sequence[SharedEpisodes]) -> dict[str, Any]:
        """Train once, and test scored methods; return what the record needs.

        Raises UserError if learning breaks.
        """
        costs = CostObserver()
        numbers = NUMBERS[job.env]
        watch = ThresholdObserver(numbers.threshold, numbers.evaluation_period, numbers.limit)
        is_scored = METHODS[job.method].is_scored
        run = self._make(config, logged, [costs] if is_scored else [costs, watch])
        score = None
        try:
            trainer.run_blocks([run])
            if is_scored:
                score = run.score_last().test["mean"]
        except Stopped:
            pass
        finally:
            run.close()
        return {
            "score": score,
            "steps_to_threshold": watch.steps,
            "curve": watch.curve,
            **costs.columns(run),
        }

    def _make(
        self, config: DQNConfig, logged: Sequence[SharedEpisodes], observers: list[RunObserver]
    ) -> Run:
        make_env = trainer.make_maker(config)
        agent = self.agent(config, make_env.spaces)
        (engine,) = make_engines([config], [agent], make_env, logged)
        return Run(engine, make_env, observers, Timings(), lambda _: None, lambda: None)

    def agent(self, config: DQNConfig, spaces: Spaces) -> DQN:
        """Return an agent as new, be it one that is compiled already."""
        agent = DQN(config, spaces)
        agent.compile()
        any_data = ("any",) if config.data else ()
        alike = dataclasses.replace(config, seed=0, data=any_data)
        compiled = self._compiled.setdefault(alike, agent)
        if compiled is not agent:
            compiled.load_arrays(agent.arrays())
        return compiled
