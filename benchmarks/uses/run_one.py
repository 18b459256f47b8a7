"""One run: trains as `train.py` does with the same seed, without its files."""

from typing import Any

from benchmarks.scores.run_one import trained_run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do an order, {"config", "episodes"}; return the score and costs by column of the record.

    The last weights play, on the same episodes for all seeds. Raises UserError if learning breaks.
    """
    config, episodes = DQNConfig.from_dict(order["config"]), order["episodes"]
    with trained_run(config) as (trained, costs):
        score = evaluate(trained.agent, config, episodes=episodes).mean
        return {"score": score, "episodes": episodes, **costs.columns(trained)}
