"""One function of a version: its named inputs and outputs, and how long it takes."""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from dqn_tf.serving.errors import invalid_argument

DEFAULT_SIGNATURE = "serving_default"
FAST_SECONDS = 2e-3  # a shorter run is not worth a thread of its own

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature: its name in the graph, and its type."""

    name: str
    dtype: tf.DType


class Signature:
    """The named inputs and outputs of one function, and the time of its recent runs."""

    def __init__(self, name: str, definition: meta_graph_pb2.SignatureDef) -> None:
        self.name = name
        self.method_name: str = definition.method_name
        self.inputs = _tensors(definition.inputs)
        self.outputs = _tensors(definition.outputs)
        self.all_outputs = tuple(self.outputs)
        self.recent_seconds = 1.0  # of the slower ones among the last runs

    @property
    def is_fast(self) -> bool:
        """True if a run may hold up the event loop."""
        return self.recent_seconds < FAST_SECONDS

    def note_run(self, seconds: float) -> None:
        """Remember how long a run took; a slow one is forgotten after some fast ones."""
        self.recent_seconds = max(seconds, self.recent_seconds / 2)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise INVALID_ARGUMENT unless exactly the signature's inputs are named."""
        sent = set(names)
        if sent == self.inputs.keys():
            return
        extra = ", ".join(sorted(sent - self.inputs.keys()))
        missing = ", ".join(sorted(self.inputs.keys() - sent))
        raise invalid_argument(
            f"The signature {self.name!r} has {len(self.inputs)} inputs and {len(sent)} were"
            f" given. Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )

    def check(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raise INVALID_ARGUMENT unless exactly the signature's inputs are given, each in its type.

        Shapes are left to the graph, as in TensorFlow Serving.
        """
        self.check_names(inputs)
        for index, (alias, tensor) in enumerate(self.inputs.items()):
            dtype = inputs[alias].dtype
            if dtype != tensor.dtype.as_numpy_dtype:
                raise invalid_argument(
                    f"Expects arg[{index}] ({alias}) to be {tensor.dtype.name} but"
                    f" {tf.dtypes.as_dtype(dtype).name} is provided"
                )


def _tensors(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, TensorInfo]:
    return {
        alias: TensorInfo(info.name, tf.dtypes.as_dtype(info.dtype))
        for alias, info in sorted(infos.items())
    }
