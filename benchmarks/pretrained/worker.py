"""A process for one run: its order is a configuration. TensorFlow is restricted to one thread."""

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from dqn_tf.config.dqn_config import DQNConfig


def _load() -> Answer:
    from benchmarks.pretrained.run_one import run

    return lambda order: run(DQNConfig.from_dict(order["config"]), order["is_supervised"])


if __name__ == "__main__":
    one_thread.carry_out(_load)
