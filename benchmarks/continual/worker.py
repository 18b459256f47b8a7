"""A process for one chain: its order is the configuration of its last task."""

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from dqn_tf.config.dqn_config import DQNConfig


def _load() -> Answer:
    from benchmarks.continual.run_one import run

    return lambda order: run(DQNConfig.from_dict(order["config"]))


if __name__ == "__main__":
    one_thread.carry_out(_load)
