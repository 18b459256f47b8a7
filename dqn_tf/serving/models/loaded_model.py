"""One version of a model in memory: its signatures, and how they run.

The graph runs in a session of TensorFlow's C++ runtime, the class that TensorFlow Serving uses.
Prepared callables run it on the caller's thread: a small network takes a few microseconds, where
calling a loaded signature in Python takes more than a hundred.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from dqn_tf.serving.errors import ServingError, to_serving_error
from dqn_tf.serving.models.signature import DEFAULT_SIGNATURE, Arrays, Signature

LONGEST_LIMIT = 2**30  # milliseconds; twelve days

PreparedRun = Callable[..., list[Any]]


class LoadedModel:
    """A version that is ready to run. It is closed when nobody holds it any more."""

    def __init__(
        self,
        name: str,
        version: int,
        session: tf.compat.v1.Session,
        meta_graph: meta_graph_pb2.MetaGraphDef,
    ) -> None:
        self.name = name
        self.version = version
        self.meta_graph = meta_graph
        self.signatures = {
            key: Signature(key, definition)
            for key, definition in meta_graph.signature_def.items()
            if not key.startswith("__saved_model_")
        }
        self._session = session
        self._prepared: dict[tuple[str, tuple[str, ...], int], PreparedRun] = {}

    def run(
        self,
        signature: Signature,
        inputs: Arrays,
        outputs: Iterable[str] | None = None,
        deadline: float | None = None,
    ) -> Arrays:
        """Return the signature's `outputs` (all, if None) for `inputs`.

        The deadline is a time.monotonic(). Raises ServingError: INVALID_ARGUMENT for other names or
        types, DEADLINE_EXCEEDED, or the code of the operation that failed.
        """
        signature.check(inputs)
        names = signature.all_outputs if outputs is None else tuple(outputs)
        feeds = [inputs[alias] for alias in signature.inputs]
        started = time.perf_counter()
        try:
            milliseconds = 0
            if deadline is not None and not signature.is_fast:
                milliseconds = _milliseconds_until(deadline)
            values = self._prepare(signature, names, milliseconds)(*feeds)
        except tf.errors.OpError as error:
            raise to_serving_error(error) from None
        finally:
            signature.note_run(time.perf_counter() - started)
        return {
            name: np.array(value, object) if isinstance(value, bytes) else value
            for name, value in zip(names, values, strict=True)
        }

    def signature(self, name: str) -> Signature:
        """Return the signature of that name; the empty name is serving_default.

        Raises FAILED_PRECONDITION.
        """
        name = name or DEFAULT_SIGNATURE
        signature = self.signatures.get(name)
        if signature is None:
            raise ServingError(
                "FAILED_PRECONDITION",
                f'Serving signature name: "{name}" not found in signature def',
            )
        return signature

    def close(self) -> None:
        """Free its memory."""
        self._prepared.clear()
        self._session.close()

    def _prepare(
        self, signature: Signature, names: tuple[str, ...], milliseconds: int
    ) -> PreparedRun:
        """Prepare a run of the signature; without a limit it runs on the caller's own thread."""
        key = (signature.name, names, milliseconds)
        prepared = self._prepared.get(key)
        if prepared is None:
            options = config_pb2.CallableOptions()
            options.feed.extend(tensor.name for tensor in signature.inputs.values())
            options.fetch.extend(signature.outputs[name].name for name in names)
            options.run_options.timeout_in_ms = milliseconds
            options.run_options.inter_op_thread_pool = 0 if milliseconds else -1
            prepared = self._session._make_callable_from_options(options)
            self._prepared[key] = prepared
        return prepared


def _milliseconds_until(deadline: float) -> int:
    """Round the time until the deadline up to a power of two of milliseconds.

    So a few prepared runs serve every deadline. Raises DEADLINE_EXCEEDED.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before the model could run")
    return 1 << min(int(seconds * 1000), LONGEST_LIMIT).bit_length()
