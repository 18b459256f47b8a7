"""One version of a model in memory: its signatures, and how they are run.

The graph runs in a session of TensorFlow's C++ runtime, the class that TensorFlow Serving uses,
through prepared callables that run it on the caller's thread: a small network takes a few
microseconds, where a call of a loaded signature takes more than a hundred.
"""

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from dqn_tf.serving.errors import ServingError, invalid, translated

DEFAULT_SIGNATURE = "serving_default"
QUICK = 2e-3  # seconds; below, a run is not worth a thread of its own
LONGEST_LIMIT = 2**30  # milliseconds; twelve days


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output of a signature: its name in the graph, and its type."""

    name: str
    dtype: tf.DType


class Signature:
    """The named inputs and outputs of one function of a version, and how long its runs take."""

    def __init__(self, name: str, definition) -> None:
        self.name, self.method_name, self.definition = name, definition.method_name, definition
        self.inputs, self.outputs = (
            {
                alias: Tensor(info.name, tf.dtypes.as_dtype(info.dtype))
                for alias, info in sorted(infos.items())
            }
            for infos in (definition.inputs, definition.outputs)
        )
        self.whole = tuple(self.outputs)
        self.recent = 1.0  # seconds of the slower ones among the last runs

    @property
    def quick(self) -> bool:
        """Whether a run may hold up the event loop."""
        return self.recent < QUICK

    def check(self, inputs: dict[str, np.ndarray]) -> None:
        """Raises INVALID_ARGUMENT unless exactly the signature's inputs are given, each in its
        type. Shapes are the graph's own business.
        """
        if inputs.keys() != self.inputs.keys():
            extra, missing = inputs.keys() - self.inputs.keys(), self.inputs.keys() - inputs.keys()
            raise invalid(
                f"The signature {self.name!r} has {len(self.inputs)} inputs and {len(inputs)} were"
                f" given. Sent extra: {{{', '.join(sorted(extra))}}}. Missing but required:"
                f" {{{', '.join(sorted(missing))}}}."
            )
        for index, (alias, tensor) in enumerate(self.inputs.items()):
            given = inputs[alias].dtype
            if given != tensor.dtype.as_numpy_dtype:
                raise invalid(
                    f"Expects arg[{index}] ({alias}) to be {tensor.dtype.name} but"
                    f" {tf.dtypes.as_dtype(given).name} is provided"
                )


class Loaded:
    """A version that is ready to run. `close` when nobody holds it any more."""

    def __init__(self, name: str, version: int, session: tf.compat.v1.Session, meta_graph) -> None:
        self.name, self.version, self.meta_graph = name, version, meta_graph
        self.signatures = {
            key: Signature(key, definition)
            for key, definition in meta_graph.signature_def.items()
            if not key.startswith("__saved_model_")
        }
        self.batcher: Any = None  # what joins its requests, where that is wanted
        self._session = session
        self._callables: dict[tuple[str, tuple[str, ...], int], object] = {}

    def run(
        self,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        outputs: Iterable[str] | None = None,
        deadline: float | None = None,
    ) -> dict[str, np.ndarray]:
        """The signature's `outputs` (all, if None) for `inputs`. The deadline is of
        time.monotonic().

        Raises ServingError: INVALID_ARGUMENT for other names or types, DEADLINE_EXCEEDED, or
        whatever code an operation ends with.
        """
        signature.check(inputs)
        names = signature.whole if outputs is None else tuple(outputs)
        feeds = [inputs[alias] for alias in signature.inputs]
        started = time.perf_counter()
        try:
            limit = 0 if deadline is None or signature.quick else _limit(deadline)
            found = self._callable(signature, names, limit)(*feeds)
        except tf.errors.OpError as error:
            raise translated(error) from None
        finally:
            took = time.perf_counter() - started
            signature.recent = max(took, signature.recent / 2)
        return {
            name: np.array(value, object) if isinstance(value, bytes) else value
            for name, value in zip(names, found, strict=True)
        }

    def signature(self, name: str) -> Signature:
        """The signature of that name; the empty name is serving_default.

        Raises FAILED_PRECONDITION.
        """
        if (found := self.signatures.get(name or DEFAULT_SIGNATURE)) is None:
            raise ServingError(
                "FAILED_PRECONDITION",
                f'Serving signature name: "{name or DEFAULT_SIGNATURE}" not found in signature def',
            )
        return found

    def close(self) -> None:
        """Frees its memory and threads."""
        if self.batcher is not None:
            self.batcher.close()
        self._callables.clear()
        self._session.close()

    def _callable(self, signature: Signature, names: tuple[str, ...], milliseconds: int):
        """A prepared run of the signature; on the caller's own thread if it has no limit of time."""
        key = (signature.name, names, milliseconds)
        if (found := self._callables.get(key)) is None:
            options = config_pb2.CallableOptions()
            options.feed.extend(tensor.name for tensor in signature.inputs.values())
            options.fetch.extend(signature.outputs[name].name for name in names)
            options.run_options.timeout_in_ms = milliseconds
            options.run_options.inter_op_thread_pool = 0 if milliseconds else -1
            found = self._callables[key] = self._session._make_callable_from_options(options)
        return found


def _limit(deadline: float) -> int:
    """Milliseconds until the deadline, up to the next power of two, so that a few prepared runs
    serve every deadline.
    """
    if (left := deadline - time.monotonic()) <= 0:
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before the model could run")
    return 1 << min(int(left * 1000), LONGEST_LIMIT).bit_length()
