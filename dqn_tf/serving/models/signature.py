"""One function of a version: its named inputs and outputs, and how long it takes."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from dqn_tf.serving.errors import invalid_argument

DEFAULT_SIGNATURE = "serving_default"
FAST_SECONDS = 2e-3  # a shorter run is not worth a thread of its own
LONG_SECONDS = 0.05  # a longer one was not fast, however busy the machine is
MOST_SLOW_RUNS = 3
# NumPy's and TensorFlow's C++ arrays of strings end the process beyond 32 dimensions
LARGEST_RANK = 32
# TensorFlow copies strings one by one, while no other thread of Python runs
MOST_STRINGS = 4096

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TensorInfo:
    """An input or output of a signature."""

    name: str  # in the graph
    dtype: tf.DType
    rank: int | None = None  # None: any
    has_rows: bool = False  # the first dimension is free, so that it counts rows

    @functools.cached_property
    def array_dtype(self) -> np.dtype:
        """NumPy's dtype."""
        return np.dtype(self.dtype.as_numpy_dtype)

    @functools.cached_property
    def is_string(self) -> bool:
        """True if its values are strings."""
        return bool(self.dtype == tf.string)

    @functools.cached_property
    def largest_rank(self) -> int:
        """The most dimensions that a value may have."""
        return self.rank if self.is_string and self.rank is not None else LARGEST_RANK

    def check_rank(self, rank: int, alias: str) -> None:
        """Raise INVALID_ARGUMENT for a value that is nested too deep to reach TensorFlow.

        The shapes of numbers are otherwise left to the graph, as in TensorFlow Serving.
        """
        if rank > self.largest_rank:
            raise invalid_argument(
                f"The value of {alias!r} has more than {self.largest_rank} dimensions, the most"
                " that it may have"
            )

    def check_size(self, rows: int, elements: int, max_rows: int, alias: str) -> None:
        """Raise INVALID_ARGUMENT for too many rows or strings."""
        if self.has_rows and rows > max_rows:
            raise invalid_argument(
                f"The value of {alias!r} has more than {max_rows} rows, the most in one request"
                " (--max_request_rows)"
            )
        if self.is_string and elements > MOST_STRINGS:
            raise invalid_argument(
                f"The value of {alias!r} has more than {MOST_STRINGS} strings, the most in one"
                " request"
            )


class Signature:
    """The named inputs and outputs of one function, and which of its runs were fast.

    `is_shape_bound` says that the time of a run depends on the shapes of its inputs alone.
    """

    def __init__(
        self, name: str, definition: meta_graph_pb2.SignatureDef, is_shape_bound: bool = False
    ) -> None:
        self.name = name
        self.method_name: str = definition.method_name
        self.inputs = _tensors(definition.inputs)
        self.outputs = _tensors(definition.outputs)
        self.all_outputs = tuple(self.outputs)
        self.is_shape_bound = is_shape_bound
        self._fast_elements = -1  # runs with as many elements of input have been fast
        self._slow_runs = 0  # one after the other that were thought to be fast

    def is_fast(self, inputs: Arrays) -> bool:
        """Return True if a run is short enough for the event loop.

        It is if a run with at least as many elements was.
        """
        return self.is_shape_bound and _elements(inputs) <= self._fast_elements

    def note_run(self, inputs: Arrays, seconds: float) -> None:
        """Remember how long a run kept its thread busy.

        One that took somewhat longer than it should is no proof: the machine may be busy.
        """
        elements = _elements(inputs)
        if seconds < FAST_SECONDS:
            self._fast_elements = max(self._fast_elements, elements)
            self._slow_runs = 0
        elif elements <= self._fast_elements:
            self._slow_runs += 1
            if self._slow_runs == MOST_SLOW_RUNS or seconds > LONG_SECONDS:
                self._fast_elements = elements - 1
                self._slow_runs = 0

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

    def check(self, inputs: Arrays) -> None:
        """Raise INVALID_ARGUMENT unless exactly the signature's inputs are given, each in its type.

        Whatever reaches TensorFlow's C++ has passed here.
        """
        self.check_names(inputs)
        for index, (alias, tensor) in enumerate(self.inputs.items()):
            array = inputs[alias]
            is_other = array.dtype != tensor.array_dtype
            # to NumPy, handles of resources are objects as strings are
            if is_other or (array.dtype.hasobject and not tensor.is_string):
                raise invalid_argument(
                    f"Expects arg[{index}] ({alias}) to be {tensor.dtype.name} but"
                    f" {tf.dtypes.as_dtype(array.dtype).name} is provided"
                )
            tensor.check_rank(array.ndim, alias)


def count_bytes(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the bytes of all values."""
    return sum([_bytes(array) for array in arrays.values()])


def _bytes(array: np.ndarray) -> int:
    return sum(map(len, array.flat)) if array.dtype.hasobject else array.nbytes


def _elements(inputs: Arrays) -> int:
    return sum([array.size for array in inputs.values()])


def _tensors(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> dict[str, TensorInfo]:
    return {alias: _tensor(info) for alias, info in sorted(infos.items())}


def _tensor(info: meta_graph_pb2.TensorInfo) -> TensorInfo:
    dtype = tf.dtypes.as_dtype(info.dtype)
    shape = info.tensor_shape
    if shape.unknown_rank:
        return TensorInfo(info.name, dtype)
    has_rows = len(shape.dim) > 0 and shape.dim[0].size < 0
    return TensorInfo(info.name, dtype, len(shape.dim), has_rows)
