"""A process for one run: its order is a configuration. TensorFlow is restricted to one thread."""

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
    from benchmarks.language.run_one import run

    def train(order: dict[str, Any]) -> dict[str, Any]:
        return run(DQNConfig.from_dict(order))

    orders.carry_out(train)


if __name__ == "__main__":
    main()
