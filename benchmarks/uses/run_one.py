"""One run: trains as `train.py` does with the same seed, without its files."""

from typing import Any

from benchmarks.scores.run_one import CostObserver
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate
from dqn_tf.training import trainer


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do an order, {"config", "episodes"}; return the score and costs by column of the record.

    The last weights play, on the same episodes for all seeds. Raises UserError if learning breaks.
    """
    config = DQNConfig.from_dict(order["config"])
    costs = CostObserver()
    (trained,) = trainer.make_runs([config], [costs])
    try:
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        score = evaluate(trained.agent, config, episodes=order["episodes"]).mean
    finally:
        trained.close()
    return {
        "score": score,
        "episodes": order["episodes"],
        "seconds": costs.seconds,
        "cpu_seconds": costs.cpu_seconds,
        "updates": trained.engine.updates,
        "env_steps": trained.engine.env_step,
    }
