"""A process for one run: its order is a configuration."""

from typing import Any

from benchmarks.common import one_thread
from benchmarks.common.one_thread import Answer
from dqn_tf.config.dqn_config import DQNConfig


def _load() -> Answer:
    from benchmarks.steering.run_one import run

    def answer(order: dict[str, Any]) -> dict[str, Any]:
        return run(DQNConfig.from_dict(order))

    return answer


if __name__ == "__main__":
    one_thread.carry_out(_load)
