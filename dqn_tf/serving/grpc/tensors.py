"""TensorProto ↔ NumPy, by the rules of TensorFlow's own C++ reader."""

import math

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from dqn_tf.serving.errors import invalid

# bytes of a tensor that a short proto may unfold into by repeating its last value
LARGEST = 1 << 28
FIELDS = {
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
    dtype.as_datatype_enum: (dtype, field, np.dtype(dtype.as_numpy_dtype))
    for dtype, field in FIELDS.items()
}
BY_NUMPY = {numpy: (number, field) for number, (_, field, numpy) in BY_NUMBER.items()}


def to_array(proto: tensor_pb2.TensorProto, alias: str) -> np.ndarray:
    """The tensor. A list of values shorter than the shape repeats its last one, an empty list is
    zeros, a longer one is cut.

    Raises INVALID_ARGUMENT for what is no tensor.
    """
    known = BY_NUMBER.get(proto.dtype)
    if known is None or proto.tensor_shape.unknown_rank or len(proto.tensor_shape.dim) > 32:
        raise invalid(f"tensor parsing error: {alias}")
    _, field, numpy = known
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    count = math.prod(shape)
    if min(shape, default=0) < 0:
        raise invalid(f"tensor parsing error: {alias}")
    if proto.tensor_content:
        if numpy.hasobject or len(proto.tensor_content) != count * numpy.itemsize:
            raise invalid(f"tensor parsing error: {alias}")
        return np.frombuffer(proto.tensor_content, numpy).reshape(shape)
    values = getattr(proto, field)
    if count > len(values) and count * numpy.itemsize > LARGEST:
        raise invalid(f"tensor parsing error: {alias}: {len(values)} values for a shape of {count}")
    return _filled(values, count, field, numpy).reshape(shape)


def _filled(values, count: int, field: str, numpy: np.dtype) -> np.ndarray:
    if numpy.hasobject:
        flat = np.empty(count, object)
        flat[:] = [*values[:count], *[values[-1] if values else b""] * (count - len(values))]
        return flat
    if not values:
        return np.zeros(count, numpy)
    if field == "half_val":
        flat = np.array(values[:count], np.int64).astype(np.uint16).view(numpy)
    elif field == "int_val":
        flat = np.array(values[:count], np.int64).astype(numpy)
    else:
        flat = np.array(values[:count], numpy)
    return flat if len(flat) == count else np.pad(flat, (0, count - len(flat)), "edge")


def fill(proto: tensor_pb2.TensorProto, array: np.ndarray, as_content: bool) -> None:
    """Writes the array into the proto:

    in its type's field, or, if `as_content`, as bytes. Raises INVALID_ARGUMENT for other types.
    """
    array = np.asarray(array)
    if array.dtype not in BY_NUMPY:
        raise invalid(f"An output has the type {array.dtype}, which is not served")
    proto.dtype, field = BY_NUMPY[array.dtype]
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if as_content and array.dtype != object:
        proto.tensor_content = array.tobytes()
    else:
        flat = array.ravel()
        getattr(proto, field).extend(
            (flat.view(np.uint16) if field == "half_val" else flat).tolist()
        )
