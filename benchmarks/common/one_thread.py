"""A program that carries out orders with TensorFlow restricted to one thread."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.common.processes import Orders
from dqn_tf.support import tensorflow_loading

Answer = Callable[[dict[str, Any]], Mapping[str, Any]]
# of a process that computes on one thread, before it begins
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def carry_out(load: Callable[[], Answer]) -> None:
    """Answer orders until the input ends, by the function that `load` returns.

    It is called when TensorFlow is set up, and so may import it.
    """
    orders = Orders()
    load_tensorflow()
    warnings.simplefilter("ignore")
    orders.carry_out(load())


def load_tensorflow() -> None:
    """Load TensorFlow, restricted to one thread: other programs may use the machine too."""
    tensorflow_loading.load_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
