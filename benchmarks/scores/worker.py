"""A process that does one run after another: its orders are configurations."""

from typing import Any

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from dqn_tf.config.dqn_config import DQNConfig


def _load() -> Answer:
    import tensorflow as tf

    from benchmarks.scores.run_one import run

    def train(order: dict[str, Any]) -> dict[str, Any]:
        try:
            return run(DQNConfig.from_dict(order))
        finally:
            tf.keras.backend.clear_session()

    return train


if __name__ == "__main__":
    one_thread.carry_out(_load)
