"""One run of dqn_tf: trains as `train.py` does with the same seed, without its files."""

from typing import Any

from benchmarks.common import machine
from benchmarks.driving.drives import scores
from benchmarks.scores.run_one import trained_run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.library import evaluate


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Do an order; return the scores of the last weights and costs by column of the record.

    Raises UserError if learning breaks.
    """
    config = DQNConfig.from_dict(order["config"])
    seeds = order["episode_seeds"]
    with trained_run(config) as (trained, costs):
        drives = evaluate(trained.agent, config, episodes=len(seeds))
        assert drives.seeds == seeds
        found = scores(drives.returns.tolist(), drives.lengths.tolist())
        versions = machine.show_versions(machine.versions(("highway-env",)))
        return found | costs.columns(trained) | {"versions": versions}
