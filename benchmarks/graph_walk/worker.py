"""A process for many runs, one after the other. TensorFlow is restricted to one thread."""

from typing import Any

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from dqn_tf.config.dqn_config import DQNConfig


def _load() -> Answer:
    from benchmarks.graph_walk.run_one import Runner

    runner = Runner()

    def train(order: dict[str, Any]) -> dict[str, Any]:
        config = DQNConfig.from_dict(order["config"])
        return runner.run(config, order["walks"], order["points"], order["samples_model"])

    return train


if __name__ == "__main__":
    one_thread.carry_out(_load)
