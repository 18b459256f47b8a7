"""Makes the data sets of an environment: four of one size, and the best tenth of each.

One run of the preset collects `replay`. `medium` is played by the policy whose evaluation came
nearest to MEDIUM, and half of `expert` by that of the best evaluation; both with EPSILON. The
other half of `expert`, and all of `random`, is random play.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.offline import recording
from benchmarks.offline.data_sets import BEST, PRESET_THEN, SEED, path
from benchmarks.offline.recording import Columns, RecordingCollector
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import files
from dqn_tf.training import trainer
from dqn_tf.training.run import Run, RunObserver

BEST_SHARE = 0.1
ROWS = 100_000
MEDIUM = {"CartPole-v1": 150.0, "LunarLander-v3": 50.0}  # mean greedy return
EPSILON = 0.1
EVALUATIONS = 40  # of the run that collects `replay`


class PolicyKeeper(RunObserver):
    """Keeps the weights of the evaluation that came nearest to a mean return."""

    def __init__(self, wanted: float) -> None:
        self._wanted = wanted
        self.mean = np.inf
        self.weights: list[np.ndarray] = []

    def after_evaluation(self, run: Run, mean_return: float) -> None:
        """Keep the weights, if none came nearer."""
        if abs(mean_return - self._wanted) < abs(self.mean - self._wanted):
            self.weights = run.agent.online.get_weights()
            self.mean = mean_return


class DataSet(NamedTuple):
    """A data set with the best tenth of its episodes.

    `policy` is the mean greedy return of the policy that played it, None where it had none.
    """

    name: str
    columns: Columns
    best: Columns
    policy: float | None


def make(
    env: str, directory: Path, rows: int = ROWS, changes: Mapping[str, Any] | None = None
) -> Iterator[DataSet]:
    """Make the data sets of an environment; each is on the disk when it is yielded.

    `changes` are settings of the run that collects `replay`. Raises UserError.
    """
    for name, columns, policy in _sets(env, rows, changes or {}):
        file = path(directory, env, name)
        best = recording.best_episodes(columns, BEST_SHARE)
        with files.writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            recording.write(file, columns)
            recording.write(path(directory, env, name + BEST), best)
        yield DataSet(name, columns, best, policy)


def _sets(
    env: str, rows: int, changes: Mapping[str, Any]
) -> Iterator[tuple[str, Columns, float | None]]:
    """Yield the name of each data set, its steps, and the policy's return."""
    values: dict[str, Any] = PRESET_THEN.get(env, {}) | {
        "seed": SEED,
        "total_steps": rows,
        "num_envs": 1,
        "collector": f"{RecordingCollector.__module__}:{RecordingCollector.__name__}",
        "evaluation_period_env_steps": max(1, rows // EVALUATIONS),
    }
    config = presets.configure(env, values | dict(changes))
    keeper = PolicyKeeper(MEDIUM.get(env, 0.0))
    (run,) = trainer.make_runs([config], [keeper])
    try:
        trainer.run_blocks([run])
        yield ("replay", _collector(run).recorded(), None)
        best, half = run.best.weights, rows // 2
        yield ("random", _play(run, best, 1.0, rows, 1), None)
        yield ("medium", _play(run, keeper.weights, EPSILON, rows, 2), keeper.mean)
        good = _play(run, best, EPSILON, half, 3)
        others = _play(run, best, 1.0, rows - half, 4)
        yield ("expert", recording.joined(good, others), run.best.mean)
    finally:
        run.close()


def _collector(run: Run) -> RecordingCollector:
    collector = run.engine.collector  # type: ignore[attr-defined]
    assert isinstance(collector, RecordingCollector)
    return collector


def _play(run: Run, weights: list[np.ndarray], epsilon: float, rows: int, number: int) -> Columns:
    """Take so many steps with a policy; `number` sets the seeds of its episodes apart."""
    config: DQNConfig = dataclasses.replace(run.config, seed=(run.config.seed or 0) + number)
    run.agent.online.set_weights(weights)
    q_function = make_q_function(run.agent)
    generator = seeding.generators(config.seed or 0)["exploration"]
    collector = RecordingCollector(config, run.make_env, q_function, generator)
    try:
        collector.refresh()
        for start in range(0, rows, config.block_steps):
            length = min(config.block_steps, rows - start)
            collector.collect(length, np.full((length, 1), epsilon))
        return collector.recorded()
    finally:
        collector.close()
