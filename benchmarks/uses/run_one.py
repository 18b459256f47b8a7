"""One run: trains as `train.py` does with the same seed, without its files."""

from typing import Any

from benchmarks.scores.run_one import trained_run
from benchmarks.uses.experiments import BY_NAME, EPISODES
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate, greedy_policy


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do an order, {"config", "experiment"}; return the score, costs and yardsticks by column.

    The last weights act. Where the score is not exact, they play the same episodes for all seeds.
    Raises UserError if learning breaks.
    """
    config = DQNConfig.from_dict(order["config"])
    experiment = BY_NAME[order["experiment"]]
    exact_score = experiment.exact_score
    with trained_run(config) as (trained, costs):
        if exact_score:
            score, episodes = exact_score(greedy_policy(trained.agent)), 0
        else:
            score, episodes = evaluate(trained.agent, config, episodes=EPISODES).mean, EPISODES
        result = {"score": score, "episodes": episodes, **costs.columns(trained)}
    return result | experiment.yardsticks()._asdict()
