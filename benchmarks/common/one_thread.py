"""A program that carries out orders with TensorFlow restricted to one thread."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.common.processes import Orders
from dqn_tf.support import tensorflow_loading

Answer = Callable[[dict[str, Any]], Mapping[str, Any]]


def carry_out(load: Callable[[], Answer]) -> None:
    """Answer orders until the input ends, by the function that `load` returns.

    It is called when TensorFlow is set up, and so may import it.
    """
    orders = Orders()
    tensorflow_loading.load_tensorflow()
    warnings.simplefilter("ignore")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    orders.carry_out(load())
