"""Converts TensorProto to NumPy and back, by the rules of TensorFlow's own C++ reader."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from dqn_tf.serving.errors import invalid_argument

# bytes of a tensor that a short proto may unfold into by repeating its last value
LARGEST_UNFOLDED = 1 << 28
LARGEST_RANK = 32  # of a NumPy array
VALUE_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int16: "int_val",
    tf.int8: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.half: "half_val",
    tf.bfloat16: "half_val",
}
BY_NUMBER = {
    dtype.as_datatype_enum: (field, np.dtype(dtype.as_numpy_dtype))
    for dtype, field in VALUE_FIELDS.items()
}
BY_DTYPE = {dtype: (number, field) for number, (field, dtype) in BY_NUMBER.items()}


def to_array(proto: tensor_pb2.TensorProto, alias: str) -> np.ndarray:
    """Convert the tensor of the input `alias`.

    If the list of values is shorter than the shape, its last value is repeated; an empty list is
    zeros; a longer one is cut. Raises INVALID_ARGUMENT for what is no tensor.
    """
    dimensions = proto.tensor_shape.dim
    is_known = proto.dtype in BY_NUMBER and not proto.tensor_shape.unknown_rank
    if not is_known or len(dimensions) > LARGEST_RANK:
        raise invalid_argument(f"tensor parsing error: {alias}")
    field, dtype = BY_NUMBER[proto.dtype]
    shape = [dimension.size for dimension in dimensions]
    count = math.prod(shape)
    if min(shape, default=0) < 0:
        raise invalid_argument(f"tensor parsing error: {alias}")
    if proto.tensor_content:
        if dtype.hasobject or len(proto.tensor_content) != count * dtype.itemsize:
            raise invalid_argument(f"tensor parsing error: {alias}")
        return np.frombuffer(proto.tensor_content, dtype).reshape(shape)
    values = getattr(proto, field)
    if count > len(values) and count * dtype.itemsize > LARGEST_UNFOLDED:
        raise invalid_argument(
            f"tensor parsing error: {alias}: {len(values)} values for a shape of {count}"
        )
    return _flat_array(values, count, field, dtype).reshape(shape)


def fill(proto: tensor_pb2.TensorProto, array: np.ndarray, as_content: bool) -> None:
    """Write the array into the proto: in the field of its type, or, if `as_content`, as bytes.

    Raises INVALID_ARGUMENT for types that are not served.
    """
    array = np.asarray(array)
    if array.dtype not in BY_DTYPE:
        raise invalid_argument(f"An output has the type {array.dtype}, which is not served")
    proto.dtype, field = BY_DTYPE[array.dtype]
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if as_content and array.dtype != object:
        proto.tensor_content = array.tobytes()
        return
    flat = array.ravel()
    if field == "half_val":
        flat = flat.view(np.uint16)
    getattr(proto, field).extend(flat.tolist())


def _flat_array(values: Sequence[Any], count: int, field: str, dtype: np.dtype) -> np.ndarray:
    """Return `count` values [count]; the last one is repeated if there are fewer."""
    if dtype.hasobject:
        last = values[-1] if values else b""
        flat = np.empty(count, object)
        flat[:] = [*values[:count], *[last] * (count - len(values))]
        return flat
    if not values:
        return np.zeros(count, dtype)
    if field == "half_val":
        flat = np.array(values[:count], np.int64).astype(np.uint16).view(dtype)
    elif field == "int_val":
        flat = np.array(values[:count], np.int64).astype(dtype)
    else:
        flat = np.array(values[:count], dtype)
    missing = count - len(flat)
    return np.pad(flat, (0, missing), "edge") if missing else flat
