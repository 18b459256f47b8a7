"""Writes arrays as the JSON of a reply.

A float is written as the shortest text that gives the same float back: with `.0` on whole numbers
and, like C's %g, with an exponent where the number is large or small (0.1, 2.0, 9e+06, 1e-05).
orjson's text is the same between 1e-4 and 1e6; other floats are written one by one.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from dqn_tf.serving.errors import invalid_argument

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
PLAIN_DTYPES = (*FLOATS, *INTEGERS, "bool")
PLAIN_MIN, PLAIN_MAX = 1e-4, 1e6  # between them no float needs an exponent
FEW_DIGITS = 6  # that %g writes by itself
PRECISION = {"float32": 9, "float64": 17}  # digits that tell any two floats apart


def error(message: str) -> bytes:
    """Write {"error": message}."""
    return json.dumps({"error": message.encode("utf-8", "replace").decode()}).encode()


def prediction(outputs: Mapping[str, np.ndarray], is_rows: bool) -> bytes:
    """Write the reply to a predict request, in rows or in columns.

    In rows, raises INVALID_ARGUMENT unless all outputs have the same first dimension.
    """
    for name, array in outputs.items():
        if array.dtype.name not in PLAIN_DTYPES and array.dtype != object:
            raise invalid_argument(
                f"Failed to write JSON value for tensor type: {array.dtype.name} of output {name!r}"
            )
    if is_rows:
        _check_rows(outputs)
    is_plain = all(_is_plain(array) for array in outputs.values())
    write = _write_plain if is_plain else _write
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"%s":%s}' % (b"predictions" if is_rows else b"outputs", write(array, name))
    if not is_rows:
        return b'{"outputs":%s}' % _object(outputs, write)
    if is_plain:
        return b'{"predictions":%s}' % _plain_rows(outputs)
    size = len(next(iter(outputs.values())))
    objects = (
        _object({name: array[row, ...] for name, array in outputs.items()}, write)
        for row in range(size)
    )
    return b'{"predictions":[%s]}' % b",".join(objects)


def number(value: np.floating) -> bytes:
    """Write the shortest text of a float32 or float64, in C's %g manner."""
    if np.isnan(value):
        return b"NaN"
    if np.isinf(value):
        return b"Infinity" if value > 0 else b"-Infinity"
    mantissa, exponent = np.format_float_scientific(value, unique=True, trim="-").split("e")
    digits = len(mantissa.lstrip("-").replace(".", ""))
    largest = FEW_DIGITS if digits <= FEW_DIGITS else PRECISION[value.dtype.name]
    if -4 <= int(exponent) < largest:
        text = np.format_float_positional(value, unique=True, trim="-")
    else:
        text = f"{mantissa}e{int(exponent):+03d}"
    is_whole = "." not in text and "e" not in text
    return (text + ".0" if is_whole else text).encode()


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    first_size = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size is None:
            raise invalid_argument(
                f"Tensor name: {name} has no shape information: it is a scalar, and cannot be"
                " written as rows"
            )
        if size != first_size:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {first_size}"
            )


def _is_plain(array: np.ndarray) -> bool:
    """Return True if orjson writes all values as wanted."""
    if array.dtype.name not in FLOATS:
        return array.dtype != object
    size = np.abs(array)
    is_between = (size >= PLAIN_MIN) & (size < PLAIN_MAX)
    return bool((is_between | (size == 0)).all())


def _write_plain(array: np.ndarray, _: str) -> bytes:
    value = np.ascontiguousarray(array) if array.ndim else array[()]
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _plain_rows(outputs: Mapping[str, np.ndarray]) -> bytes:
    names = list(outputs)
    columns = [np.ascontiguousarray(array) for array in outputs.values()]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)


def _object(arrays: Mapping[str, np.ndarray], write: Callable[[np.ndarray, str], bytes]) -> bytes:
    members = (b"%s:%s" % (_text(name), write(array, name)) for name, array in arrays.items())
    return b"{%s}" % b",".join(members)


def _write(array: np.ndarray | Any, name: str) -> bytes:
    """Write value by value."""
    array = np.asarray(array)
    if array.dtype == object:
        is_binary = name.endswith("_bytes")
        return _nested(array, _base64 if is_binary else _text_of_bytes)
    return _nested(array, number) if array.dtype.name in FLOATS else _write_plain(array, name)


def _nested(array: np.ndarray, write: Callable[[Any], bytes]) -> bytes:
    if array.ndim == 0:
        return write(array[()])
    if array.ndim == 1:
        return b"[%s]" % b",".join(write(value) for value in array)
    return b"[%s]" % b",".join(_nested(part, write) for part in array)


def _base64(value: bytes) -> bytes:
    return b'{"b64":"%s"}' % base64.b64encode(value)


def _text_of_bytes(value: bytes) -> bytes:
    return _text(value.decode("utf-8", "surrogateescape"))


def _text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")
