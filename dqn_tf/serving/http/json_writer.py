"""Writes arrays as the JSON of a reply.

A float is written as the shortest text that gives the same float back: with `.0` on whole numbers
and, like C's %g, with an exponent where the number is large or small (0.1, 2.0, 9e+06, 1e-05).
orjson's text is the same between 1e-4 and 1e6; other floats are written one by one.

Long arrays are written in slices, between which other threads have their turn.
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from dqn_tf.serving.errors import check_deadline, invalid_argument

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = {np.dtype(name) for name in ("float32", "float64", *INTEGERS, "bool", "object")}
PLAIN_MIN, PLAIN_MAX = 1e-4, 1e6  # between them no float needs an exponent
FEW_DIGITS = 6  # that %g writes by itself
PRECISION = {"float32": 9, "float64": 17}  # digits that tell any two floats apart
FEW_ELEMENTS = 16
SLICE_ELEMENTS = 1 << 15  # of an array that are written in one go

Arrays = Mapping[str, np.ndarray]


def error(message: str) -> bytes:
    """Write {"error": message}."""
    return json.dumps({"error": message.encode("utf-8", "replace").decode()}).encode()


def prediction(outputs: Arrays, is_rows: bool, deadline: float | None = None) -> bytes:
    """Write the reply to a predict request, in rows or in columns.

    In rows, raises INVALID_ARGUMENT unless all outputs have the same number of rows, at least one.
    Raises DEADLINE_EXCEEDED after the deadline, a time.monotonic().
    """
    for name, array in outputs.items():
        if array.dtype not in DTYPES:
            raise invalid_argument(
                f"Failed to write JSON value for tensor type: {array.dtype.name} of output {name!r}"
            )
    if is_rows:
        _check_rows(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        key = b"predictions" if is_rows else b"outputs"
        return b'{"%s":%s}' % (key, _value(array, name, deadline))
    if is_rows:
        return b'{"predictions":[%s]}' % b",".join(_rows(outputs, deadline))
    members = [
        b"%s:%s" % (_text(name), _value(array, name, deadline)) for name, array in outputs.items()
    ]
    return b'{"outputs":{%s}}' % b",".join(members)


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


def _check_rows(outputs: Arrays) -> None:
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    first_size = next(iter(sizes.values()))
    for name, size in sizes.items():
        if size is None:
            raise invalid_argument(
                f"Tensor name: {name} has no shape information: it is a scalar, and cannot be"
                " written as rows"
            )
        if size < 1:
            raise invalid_argument(f"Tensor name: {name} has invalid batch size: {size}")
        if size != first_size:
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting: {first_size}"
            )


def _rows(outputs: Arrays, deadline: float | None) -> Iterator[bytes]:
    """Write an object for each row, some rows at a time."""
    names = [_text(name) for name in outputs]
    form = b"{%s}" % b",".join(name.replace(b"%", b"%%") + b":%s" for name in names)
    size = len(next(iter(outputs.values())))
    row_elements = sum(array.size for array in outputs.values()) // size
    step = max(1, SLICE_ELEMENTS // max(1, row_elements))
    for start in range(0, size, step):
        check_deadline(deadline)
        columns = [_elements(array[start : start + step], name) for name, array in outputs.items()]
        yield b",".join([form % row for row in zip(*columns, strict=True)])


def _value(array: np.ndarray, name: str, deadline: float | None) -> bytes:
    """Write one array, some elements of its first dimension at a time."""
    if array.ndim == 0:
        return _elements(array.reshape(1), name)[0]
    step = max(1, SLICE_ELEMENTS * len(array) // max(1, array.size))
    slices = []
    for start in range(0, len(array), step):
        check_deadline(deadline)
        slices.append(b",".join(_elements(array[start : start + step], name)))
    return b"[%s]" % b",".join(slices)


def _elements(array: np.ndarray, name: str) -> list[bytes]:
    """Write the elements of the first dimension, each for itself."""
    if array.dtype == object:
        write = _base64 if name.endswith("_bytes") else _text_of_bytes
        return [_nested(element, write) for element in array]
    if array.size == 0:
        return [_nested(element, lambda _: b"") for element in array]
    if array.ndim == 1:
        return _numbers(array)
    brackets = array.ndim - 1
    text = _whole(array)[brackets + 1 : -brackets - 1]
    opening = b"[" * brackets
    closing = b"]" * brackets
    return [opening + part + closing for part in text.split(closing + b"," + opening)]


def _whole(array: np.ndarray) -> bytes:
    """Write all of an array [n, m, ...] of numbers."""
    array = np.ascontiguousarray(array)
    if _is_plain(array):
        return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    texts = _numbers(array.ravel())
    for size in reversed(array.shape):
        texts = [
            b"[%s]" % b",".join(texts[start : start + size]) for start in range(0, len(texts), size)
        ]
    return texts[0]


def _numbers(flat: np.ndarray) -> list[bytes]:
    """Write each number of an array [n]."""
    flat = np.ascontiguousarray(flat)
    if _is_plain(flat):
        return orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    is_odd = ~_plain_floats(flat)
    plain = np.where(is_odd, flat.dtype.type(0), flat)
    texts = orjson.dumps(plain, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    for index in np.flatnonzero(is_odd).tolist():
        texts[index] = number(flat[index])
    return texts


def _is_plain(array: np.ndarray) -> bool:
    """Return True if orjson writes all values as wanted."""
    if array.dtype.kind != "f":
        return True
    if array.size > FEW_ELEMENTS:
        return bool(_plain_floats(array).all())
    # for so few, Python is faster than NumPy
    return all(PLAIN_MIN <= abs(value) < PLAIN_MAX or value == 0 for value in array.flat)


def _plain_floats(array: np.ndarray) -> np.ndarray:
    size = np.abs(array)
    return ((size >= PLAIN_MIN) & (size < PLAIN_MAX)) | (size == 0)


def _nested(value: Any, write: Callable[[Any], bytes]) -> bytes:
    if isinstance(value, np.ndarray):
        return b"[%s]" % b",".join([_nested(part, write) for part in value])
    return write(value)


def _base64(value: bytes) -> bytes:
    return b'{"b64":"%s"}' % base64.b64encode(value)


def _text_of_bytes(value: bytes) -> bytes:
    return _text(value.decode("utf-8", "surrogateescape"))


def _text(text: str) -> bytes:
    try:
        return orjson.dumps(text)
    except TypeError:  # bytes that are no UTF-8 go back as they came
        return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")
