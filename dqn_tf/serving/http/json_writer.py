"""Arrays → the JSON of a reply.

Floats are written as the shortest text that gives the same float back, with `.0` on whole numbers
and, like C's %g, an exponent where the number is large or small: 0.1, 2.0, 9e+06, 1e-05. orjson's
text is the same between 1e-4 and 1e6; the rest is done number by number.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from dqn_tf.serving.errors import invalid

FLOATS = ("float32", "float64")
PLAIN = (*FLOATS, "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
SMALLEST, LARGEST = 1e-4, 1e6  # between them no float needs an exponent
FEW = 6  # digits that %g writes by itself
PRECISION = {"float32": 9, "float64": 17}  # digits that tell any two apart


def error(message: str) -> bytes:
    """{"error": message}"""
    return json.dumps({"error": message.encode("utf-8", "replace").decode()}).encode()


def prediction(outputs: Mapping[str, np.ndarray], rows: bool) -> bytes:
    """The reply to a predict request.

    In rows, raises INVALID_ARGUMENT unless all outputs have the same first dimension.
    """
    for name, array in outputs.items():
        if array.dtype.name not in PLAIN and array.dtype != object:
            raise invalid(
                f"Failed to write JSON value for tensor type: {array.dtype.name} of output {name!r}"
            )
    if rows:
        _check_rows(outputs)
    simple = all(_is_simple(array) for array in outputs.values())
    write = _write_simple if simple else _write
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"%s":%s}' % (b"predictions" if rows else b"outputs", write(array, name))
    if not rows:
        members = (b"%s:%s" % (_text(name), write(array, name)) for name, array in outputs.items())
        return b'{"outputs":{%s}}' % b",".join(members)
    if simple:
        names = list(outputs)
        parts = [
            dict(zip(names, row, strict=True))
            for row in zip(*map(np.ascontiguousarray, outputs.values()), strict=True)
        ]
        return b'{"predictions":%s}' % orjson.dumps(parts, option=orjson.OPT_SERIALIZE_NUMPY)
    objects = (
        b",".join(
            b"%s:%s" % (_text(name), write(array[row, ...], name))
            for name, array in outputs.items()
        )
        for row in range(len(next(iter(outputs.values()))))
    )
    return b'{"predictions":[%s]}' % b",".join(b"{%s}" % each for each in objects)


def number(value: np.floating) -> bytes:
    """The shortest text of a float32 or float64, in C's %g manner."""
    if not np.isfinite(value):
        return b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"
    mantissa, exponent = np.format_float_scientific(value, unique=True, trim="-").split("e")
    digits = len(mantissa.lstrip("-").replace(".", ""))
    if -4 <= int(exponent) < (FEW if digits <= FEW else PRECISION[value.dtype.name]):
        text = np.format_float_positional(value, unique=True, trim="-")
    else:
        text = f"{mantissa}e{int(exponent):+03d}"
    return (text if "." in text or "e" in text else text + ".0").encode()


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    for name, size in sizes.items():
        if size is None:
            raise invalid(
                f"Tensor name: {name} has no shape information: it is a scalar, and cannot be"
                " written as rows"
            )
        if size != next(iter(sizes.values())):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {size} expecting:"
                f" {next(iter(sizes.values()))}"
            )


def _is_simple(array: np.ndarray) -> bool:
    """Whether orjson writes it as wanted."""
    if array.dtype.name not in FLOATS:
        return array.dtype != object
    size = np.abs(array)
    return bool((((size >= SMALLEST) & (size < LARGEST)) | (size == 0)).all())


def _write_simple(array: np.ndarray, _: str) -> bytes:
    return orjson.dumps(
        np.ascontiguousarray(array) if array.ndim else array[()], option=orjson.OPT_SERIALIZE_NUMPY
    )


def _write(array: np.ndarray | Any, name: str) -> bytes:
    """Number by number."""
    array = np.asarray(array)
    if array.dtype == object:
        return _nested(
            array,
            (
                _base64
                if name.endswith("_bytes")
                else lambda leaf: _text(leaf.decode("utf-8", "surrogateescape"))
            ),
        )
    return _nested(array, number) if array.dtype.name in FLOATS else _write_simple(array, name)


def _nested(array: np.ndarray, leaf: Callable[[Any], bytes]) -> bytes:
    if array.ndim == 0:
        return leaf(array[()])
    return b"[%s]" % b",".join(
        leaf(each) if array.ndim == 1 else _nested(each, leaf) for each in array
    )


def _base64(value: bytes) -> bytes:
    return b'{"b64":"%s"}' % base64.b64encode(value)


def _text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")
