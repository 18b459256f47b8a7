"""Runs a signature of a version, with or without batching, and measures what it takes.

HTTP and gRPC share it.
"""

import concurrent.futures
import time
from collections.abc import Callable, Mapping

import numpy as np

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models.manager import ModelManager
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.models.signature import Arrays, Signature

# called with model name, version, signature name, inputs and outputs of a request that succeeded,
# and the id that the client gave it, empty if none
RequestObserver = Callable[
    [str, int, str, Mapping[str, np.ndarray], Mapping[str, np.ndarray], bytes], None
]


class SignatureRunner:
    """Runs signatures. `observer` sees each predict request that succeeded."""

    def __init__(
        self, manager: ModelManager, metrics: Metrics, observer: RequestObserver | None = None
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self.observer = observer

    def submit(
        self,
        handle: VersionHandle,
        signature: Signature,
        inputs: Arrays,
        outputs: tuple[str, ...] | None,
        deadline: float | None,
    ) -> "concurrent.futures.Future[Arrays]":
        """Put the request into a batch; the version is held until it has run."""
        assert handle.batcher is not None
        started = time.perf_counter()
        future = handle.batcher.submit(handle.model, signature, inputs, outputs, deadline)
        batch_handle = handle.duplicate()

        def finish(_: object) -> None:
            batch_handle.release()
            self.metrics.count_run(batch_handle.model.name, time.perf_counter() - started)

        future.add_done_callback(finish)
        return future

    def run(
        self,
        handle: VersionHandle,
        signature: Signature,
        inputs: Arrays,
        outputs: tuple[str, ...] | None = None,
        deadline: float | None = None,
    ) -> Arrays:
        """Run the signature and wait. The deadline is a time.monotonic(). Raises ServingError."""
        if handle.batcher is not None:
            future = self.submit(handle, signature, inputs, outputs, deadline)
            seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return future.result(seconds)
            except concurrent.futures.TimeoutError:
                raise ServingError(
                    "DEADLINE_EXCEEDED", "The time was over before the batch had been run"
                ) from None
        started = time.perf_counter()
        try:
            return handle.model.run(signature, inputs, outputs, deadline)
        finally:
            self.metrics.count_run(handle.model.name, time.perf_counter() - started)

    def observe(
        self,
        handle: VersionHandle,
        signature: Signature,
        inputs: Arrays,
        outputs: Arrays,
        request_id: bytes,
    ) -> None:
        """Show a predict request that succeeded to the observer."""
        if self.observer is not None:
            model = handle.model
            self.observer(model.name, model.version, signature.name, inputs, outputs, request_id)
