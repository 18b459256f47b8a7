"""A process that does one run after another: its orders are configurations.

TensorFlow is loaded once and restricted to one thread.
"""

import warnings
from typing import Any

from benchmarks.common.processes import Orders
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import tensorflow_loading


def main() -> None:
    """Carry out orders until the input ends."""
    orders = Orders()
    tensorflow_loading.load_tensorflow()
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from benchmarks.scores.run_one import run

    def train(order: dict[str, Any]) -> dict[str, Any]:
        try:
            return run(DQNConfig.from_dict(order))
        finally:
            tf.keras.backend.clear_session()

    orders.carry_out(train)


if __name__ == "__main__":
    main()
