"""One version of a model in memory: its signatures, and how they run.

The graph runs in a session of TensorFlow's C++ runtime, the class that TensorFlow Serving uses.
Prepared callables run it on the caller's thread: a small network takes a few microseconds, where
calling a loaded signature in Python takes more than a hundred.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from dqn_tf.serving.errors import ServingError, to_serving_error
from dqn_tf.serving.models.graph_ops import GraphOps
from dqn_tf.serving.models.signature import DEFAULT_SIGNATURE, Arrays, Signature

LONGEST_LIMIT = 2**30  # milliseconds; twelve days
# Each is a copy of a graph. Clients choose outputs and deadlines, so there is no end to them.
MOST_PREPARED = 64

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
        ops = GraphOps(meta_graph.graph_def)
        self.signatures = {
            key: Signature(key, definition, _is_shape_bound(ops, definition))
            for key, definition in meta_graph.signature_def.items()
            if not key.startswith("__saved_model_")
        }
        self._session = session
        self._prepared: dict[tuple[str, tuple[str, ...], int], PreparedRun] = {}
        self._prepare_lock = threading.Lock()

    def run(
        self,
        signature: Signature,
        inputs: Arrays,
        outputs: Iterable[str] | None = None,
        deadline: float | None = None,
    ) -> Arrays:
        """Return the signature's `outputs` (all, if None) for `inputs`.

        The deadline is a time.monotonic(). Raises ServingError: INVALID_ARGUMENT for other names,
        types or ranks, DEADLINE_EXCEEDED, or the code of the operation that failed.
        """
        signature.check(inputs)
        names = signature.all_outputs if outputs is None else tuple(sorted(outputs))
        feeds = [inputs[alias] for alias in signature.inputs]
        milliseconds = 0
        if deadline is not None:
            milliseconds = _milliseconds_until(deadline)
        if signature.is_shape_bound:
            milliseconds = 0  # it runs on this thread, which is faster, but cannot be interrupted
        run = self._prepare(signature, names, milliseconds)
        # processor time, since the wall clock also shows the work of other threads
        started = time.thread_time()
        try:
            values = run(*feeds)
        except tf.errors.OpError as error:
            raise to_serving_error(error) from None
        finally:
            signature.note_run(inputs, time.thread_time() - started)
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
        """Prepare a run of the signature; one that is shape-bound runs on the caller's thread."""
        key = (signature.name, names, milliseconds)
        with self._prepare_lock:
            prepared = self._prepared.pop(key, None)
            if prepared is not None:
                self._prepared[key] = prepared  # again the last to be given up
                return prepared
        options = config_pb2.CallableOptions()
        options.feed.extend(tensor.name for tensor in signature.inputs.values())
        options.fetch.extend(signature.outputs[name].name for name in names)
        options.run_options.timeout_in_ms = milliseconds
        options.run_options.inter_op_thread_pool = -1 if signature.is_shape_bound else 0
        made: PreparedRun = self._session._make_callable_from_options(options)
        with self._prepare_lock:
            while len(self._prepared) >= MOST_PREPARED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[key] = made
        return made


def _is_shape_bound(ops: GraphOps, definition: meta_graph_pb2.SignatureDef) -> bool:
    return ops.is_shape_bound(info.name for info in definition.outputs.values())


def _milliseconds_until(deadline: float) -> int:
    """Round the time until the deadline up to a power of two of milliseconds.

    So a few prepared runs serve every deadline. Raises DEADLINE_EXCEEDED.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before the model could run")
    return 1 << min(int(seconds * 1000), LONGEST_LIMIT).bit_length()
