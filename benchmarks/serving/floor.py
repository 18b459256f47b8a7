"""The floor under a server: the SavedModel called in this very process.

Orders come in and answers go out as for the clients.
"""

import sys
import time
from collections import Counter
from typing import Any

import numpy as np

from benchmarks.common.processes import Orders
from benchmarks.serving import latencies

WARM_CALLS = 50  # that are not timed


def measure(signature: Any, batch: int, seconds: float, requests: int) -> dict[str, Any]:
    """Call `signature` one time after the other, tensors in and NumPy arrays out."""
    import tensorflow as tf

    shape = signature.structured_input_signature[1]["observation"].shape[1:]
    observations = np.random.default_rng(0).normal(0, 0.05, (batch, *shape)).astype(np.float32)

    def call() -> float:
        sent = time.perf_counter()
        answer = signature(observation=tf.constant(observations))
        answer["action"].numpy(), answer["q_values"].numpy()
        return time.perf_counter() - sent

    for _ in range(WARM_CALLS):
        call()
    call_seconds: list[float] = []
    start = time.perf_counter()
    while len(call_seconds) < requests and time.perf_counter() - start < seconds:
        call_seconds.append(call())
    return latencies.summarize(call_seconds, Counter(), time.perf_counter() - start)


def main() -> None:
    """Load the version that is named on the command line, say so, and carry out orders."""
    orders = Orders()
    import tensorflow as tf

    loaded = tf.saved_model.load(sys.argv[1])  # kept: signatures do not keep the variables alive
    signature = loaded.signatures["serving_default"]
    orders.reply({})  # it is ready
    orders.carry_out(lambda order: measure(signature, **order))


if __name__ == "__main__":
    main()
