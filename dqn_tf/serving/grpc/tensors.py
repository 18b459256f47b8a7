"""Converts TensorProto to NumPy and back, by the rules of TensorFlow's own C++ reader.

A shape is a claim: it is compared with the values that came before anything is made of its size.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.models.signature import TensorInfo

# A short list of values may unfold by repeating its last one: to as many bytes or strings, or to as
# many times its own.
UNFOLDED_BYTES = 256 << 10
UNFOLDED_STRINGS = 256
UNFOLDED_TIMES = 8
SLICE_ELEMENTS = 1 << 16  # that are converted in one go
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


def to_array(
    proto: tensor_pb2.TensorProto, tensor: TensorInfo, alias: str, max_rows: int
) -> np.ndarray:
    """Convert the value of the input `tensor`, whose name is `alias`.

    If the list of values is shorter than the shape, its last value is repeated; an empty list is
    zeros; a longer one is cut. Raises INVALID_ARGUMENT for what is no tensor, or too large a one.
    """
    if proto.dtype not in BY_NUMBER or proto.tensor_shape.unknown_rank:
        raise _parsing_error(alias)
    field, dtype = BY_NUMBER[proto.dtype]
    shape = [dimension.size for dimension in proto.tensor_shape.dim]
    if min(shape, default=0) < 0:
        raise _parsing_error(alias)
    tensor.check_rank(len(shape), alias)
    count = math.prod(shape)
    content = proto.tensor_content
    values = getattr(proto, field)
    has_content = len(content) > 0
    least_bytes = 1 if dtype.hasobject else dtype.itemsize  # of an element in the content
    _check_claim(shape, len(content) // least_bytes if has_content else len(values), dtype, alias)
    tensor.check_size(shape[0] if shape else 0, count, max_rows, alias)
    if not has_content:
        return _flat_array(values, count, field, dtype).reshape(shape)
    if dtype.hasobject:
        return _strings(content, count, alias).reshape(shape)
    if len(content) != count * dtype.itemsize:
        raise _parsing_error(alias)
    if dtype == np.bool_:  # in C++, a bool that is neither 0 nor 1 may do anything
        return (np.frombuffer(content, np.uint8) != 0).reshape(shape)
    return np.frombuffer(content, dtype).reshape(shape)


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
    values = getattr(proto, field)
    for start in range(0, len(flat), SLICE_ELEMENTS):
        values.extend(flat[start : start + SLICE_ELEMENTS].tolist())


def _check_claim(shape: list[int], given: int, dtype: np.dtype, alias: str) -> None:
    """Raise INVALID_ARGUMENT if the shape claims far more elements than were given.

    A dimension of 0 counts as 1: the operations of a model may make something of the others.
    """
    claimed = math.prod(shape) or math.prod(max(1, size) for size in shape)
    free = UNFOLDED_STRINGS if dtype.hasobject else UNFOLDED_BYTES // dtype.itemsize
    if claimed > max(free, UNFOLDED_TIMES * given):
        error = _parsing_error(alias)
        error.message += f": {given} values for a shape of {claimed}"
        raise error


def _flat_array(values: Sequence[Any], count: int, field: str, dtype: np.dtype) -> np.ndarray:
    """Return `count` values [count]; the last one is repeated if there are fewer."""
    if dtype.hasobject:
        last = values[-1] if values else b""
        flat = np.empty(count, object)
        flat[:] = [*values[:count], *[last] * (count - len(values))]
        return flat
    if not values:
        return np.zeros(count, dtype)
    wide = np.dtype(np.int64) if field in ("half_val", "int_val") else dtype
    flat = _from_iterable(values, min(count, len(values)), wide)
    if field == "half_val":
        flat = flat.astype(np.uint16).view(dtype)
    elif field == "int_val":
        flat = flat.astype(dtype)
    missing = count - len(flat)
    return np.pad(flat, (0, missing), "edge") if missing else flat


def _strings(content: bytes, count: int, alias: str) -> np.ndarray:
    """Return the strings [count] that `content` holds: first all lengths, as varints, then all."""
    place = 0
    sizes = []
    for _ in range(count):
        size, shift, more = 0, 0, True
        while more:
            if place == len(content) or shift > 28:  # no more than 32 bits
                raise _parsing_error(alias)
            size |= (content[place] & 127) << shift
            more = content[place] > 127
            place += 1
            shift += 7
        sizes.append(size)
    if place + sum(sizes) != len(content):
        raise _parsing_error(alias)
    flat = np.empty(count, object)
    for number, size in enumerate(sizes):
        flat[number] = content[place : place + size]
        place += size
    return flat


def _from_iterable(values: Sequence[Any], count: int, dtype: np.dtype) -> np.ndarray:
    """Return the first `count` values, of which there are as many; other threads have turns."""
    if count <= SLICE_ELEMENTS:
        return np.fromiter(values, dtype, count)
    flat = np.empty(count, dtype)
    iterator = iter(values)
    for start in range(0, count, SLICE_ELEMENTS):
        size = min(SLICE_ELEMENTS, count - start)
        part = itertools.islice(iterator, size)
        flat[start : start + size] = np.fromiter(part, dtype, size)
    return flat


def _parsing_error(alias: str) -> ServingError:
    return invalid_argument(f"tensor parsing error: {alias}")
