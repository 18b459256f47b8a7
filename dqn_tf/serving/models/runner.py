"""What HTTP and gRPC share:

runs a signature of a held version, with or without batching, and counts what it takes.
"""

import concurrent.futures
import time
from collections.abc import Callable, Mapping

import numpy as np

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.metrics import Metrics
from dqn_tf.serving.models.loaded_model import Signature
from dqn_tf.serving.models.manager import Held, Manager

Recorder = Callable[[str, int, str, Mapping[str, np.ndarray], Mapping[str, np.ndarray]], None]


class Engine:
    """`recorder`(model_name, version, signature_name, inputs, outputs) sees each predict call that
    succeeded.
    """

    def __init__(
        self, manager: Manager, metrics: Metrics, recorder: Recorder | None = None
    ) -> None:
        self.manager, self.metrics, self.recorder = manager, metrics, recorder

    def start(
        self,
        held: Held,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        outputs: tuple[str, ...] | None,
        deadline: float | None,
    ) -> "concurrent.futures.Future[dict[str, np.ndarray]]":
        """A run in a batch; the version is held until it is over."""
        started, future = (
            time.perf_counter(),
            held.loaded.batcher.submit(held.loaded, signature, inputs, outputs, deadline),
        )
        own = held.again()

        def end(_: object) -> None:
            own.release()
            self.metrics.runtime(own.loaded.name, time.perf_counter() - started)

        future.add_done_callback(end)
        return future

    def run(
        self,
        held: Held,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        outputs: tuple[str, ...] | None = None,
        deadline: float | None = None,
    ) -> dict[str, np.ndarray]:
        """A run, waited for. The deadline is of time.monotonic(). Raises ServingError."""
        if held.loaded.batcher is not None:
            try:
                return self.start(held, signature, inputs, outputs, deadline).result(
                    None if deadline is None else max(0.0, deadline - time.monotonic())
                )
            except concurrent.futures.TimeoutError:
                raise ServingError(
                    "DEADLINE_EXCEEDED", "The time was over before the batch had been run"
                ) from None
        started = time.perf_counter()
        try:
            return held.loaded.run(signature, inputs, outputs, deadline)
        finally:
            self.metrics.runtime(held.loaded.name, time.perf_counter() - started)

    def record(
        self,
        held: Held,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        outputs: dict[str, np.ndarray],
    ) -> None:
        """Shows a successful predict call to the recorder."""
        if self.recorder is not None:
            self.recorder(held.loaded.name, held.loaded.version, signature.name, inputs, outputs)
