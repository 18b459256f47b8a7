"""One run: trains as `train.py` does with the same seed, without its files; plays all starts."""

from typing import Any

import numpy as np

from benchmarks.language import tasks
from benchmarks.scores.run_one import trained_run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.training.run import Run


def run(config: DQNConfig) -> dict[str, Any]:
    """Train once; return scores of the last weights and costs by column of the record.

    Raises UserError if learning breaks.
    """
    with trained_run(config) as (trained, costs):
        make = registry.maker(config)
        options = tasks.starts(make())
        scores = tasks.score(_greedy_policy(trained), make, options)
        return {
            "score": float(scores.returns.mean()),
            "success": float(scores.succeeded.mean()),
            "starts": len(options),
            **costs.columns(trained),
        }


def _greedy_policy(run: Run) -> ActFunction:
    run.engine.q_function.refresh()

    def act(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        actions = run.engine.q_function.greedy_action(observation, mask)
        return actions + run.agent.spaces.action_start

    return act
