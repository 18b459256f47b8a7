"""A process for many runs, one after the other. TensorFlow is restricted to one thread."""

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
    from benchmarks.graph_walk.run_one import Runner

    runner = Runner()

    def train(order: dict[str, Any]) -> dict[str, Any]:
        config = DQNConfig.from_dict(order["config"])
        return runner.run(config, order["walks"], order["points"], order["samples_model"])

    orders.carry_out(train)


if __name__ == "__main__":
    main()
