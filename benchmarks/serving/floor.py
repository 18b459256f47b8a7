"""The floor under a server:

the SavedModel called in this very process. Orders on stdin, answers on stdout, as in
serving_client.py.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf

WARM = 50


def measure(signature, batch: int, seconds: float, requests: int) -> dict[str, Any]:
    """Calls `signature`, tensors in and NumPy arrays out, one call after the other."""
    shape = signature.structured_input_signature[1]["observation"].shape[1:]
    observations = np.random.default_rng(0).normal(0, 0.05, (batch, *shape)).astype(np.float32)

    def call() -> float:
        sent = time.perf_counter()
        answer = signature(observation=tf.constant(observations))
        answer["action"].numpy(), answer["q_values"].numpy()
        return time.perf_counter() - sent

    for _ in range(WARM):
        call()
    began, latencies = time.perf_counter(), []
    while len(latencies) < requests and time.perf_counter() - began < seconds:
        latencies.append(call())
    total = time.perf_counter() - began
    middle, late = np.percentile(latencies, [50, 99]) * 1000
    return {
        "requests": len(latencies),
        "errors": 0,
        "error_kinds": {},
        "seconds": total,
        "requests_per_second": len(latencies) / total,
        "p50_ms": float(middle),
        "p99_ms": float(late),
    }


def main() -> None:
    """Loads the version that is named on the command line, says that it has, and does one order
    after the other.
    """
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    loaded = tf.saved_model.load(sys.argv[1])  # kept: signatures do not keep the variables alive
    signature = loaded.signatures["serving_default"]
    print("{}", file=replies, flush=True)
    for line in sys.stdin:
        print(json.dumps(measure(signature, **json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
