"""Converts the body of a predict request to named arrays, by the rules of TensorFlow Serving.

Rows (`instances`) are a list of values, or of objects that hold every input. Columns (`inputs`) are
a value, a list, or an object. Integer types take only integer tokens, bool only true and false,
strings text or {"b64": ...}. 8- and 16-bit integers wrap around; floats beyond float32 are
infinite.
"""

import base64
import binascii
from typing import Any

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.models.signature import Arrays, Signature

FLOATS = ("float32", "float64")
# least value and first value beyond; what is narrower than 32 bits wraps around
INTEGER_RANGES = {
    "int8": (-(2**31), 2**31),
    "uint8": (-(2**31), 2**31),
    "int16": (-(2**31), 2**31),
    "uint16": (-(2**31), 2**31),
    "int32": (-(2**31), 2**31),
    "int64": (-(2**63), 2**63),
    "uint32": (0, 2**32),
    "uint64": (0, 2**64),
}
LARGEST_RANK = 254  # of a tensor in TensorFlow
QUOTED = 60  # characters of a value that an error quotes


def read_inputs(document: dict[str, Any], signature: Signature) -> tuple[Arrays, bool]:
    """Return the signature's inputs in the document, and True if they came as rows.

    Raises INVALID_ARGUMENT, UNIMPLEMENTED.
    """
    is_rows = "instances" in document
    if is_rows and "inputs" in document:
        raise invalid_argument(
            "JSON Value: Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
            " to exist"
        )
    if not is_rows and "inputs" not in document:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    if is_rows:
        columns = _columns_of_rows(document["instances"], signature)
    else:
        columns = _columns(document["inputs"], signature)
    inputs = {
        alias: _array(columns[alias], tensor.dtype.name, alias)
        for alias, tensor in signature.inputs.items()
    }
    return inputs, is_rows


def is_named(value: Any) -> bool:
    """Return True for an object of named inputs; {"b64": text} is a value."""
    is_base64 = isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)
    return isinstance(value, dict) and not is_base64


def to_bytes(leaf: Any, alias: str) -> bytes:
    """Return the bytes of a text, or of {"b64": text}. Raises INVALID_ARGUMENT."""
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogateescape")
    if is_named(leaf) or not isinstance(leaf, dict):
        raise _wrong_type(leaf, "string", alias)
    text = leaf["b64"].replace("-", "+").replace("_", "/")
    if "=" not in text:
        text += "=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument(f"Unable to base64 decode the value of {alias!r}") from None


def _columns_of_rows(rows: Any, signature: Signature) -> dict[str, list]:
    if not isinstance(rows, list) or not rows:
        raise invalid_argument(
            "JSON Value: Expecting 'instances' to be a list/array that is not empty"
        )
    has_names = is_named(rows[0])
    if not has_names and len(signature.inputs) != 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map"
        )
    for index, row in enumerate(rows):
        if is_named(row) != has_names:
            mismatch = "object but got value" if has_names else "value/list but got object"
            raise invalid_argument(f"Expecting {mismatch} at item {index} of input list")
        if has_names and row.keys() != signature.inputs.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. Its keys must be equal"
                f" to: {','.join(signature.inputs)}"
            )
    if not has_names:
        return dict.fromkeys(signature.inputs, rows)
    return {alias: [row[alias] for row in rows] for alias in signature.inputs}


def _columns(value: Any, signature: Signature) -> dict[str, Any]:
    if not is_named(value):
        if len(signature.inputs) != 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors"
                " required as per tensorinfo_map"
            )
        return dict.fromkeys(signature.inputs, value)
    for alias in signature.inputs:
        if alias not in value:
            raise invalid_argument(f"Missing named input: {alias} in 'inputs' object.")
    return value


def _array(value: Any, dtype: str, alias: str) -> np.ndarray:
    """Return a dense array of `dtype`.

    Most values need no look at each number. What NumPy finds odd is checked one by one, to say what
    is wrong with it.
    """
    is_number = dtype in FLOATS or dtype in INTEGER_RANGES
    if not is_number and dtype not in ("bool", "string"):
        raise ServingError(
            "UNIMPLEMENTED",
            f"Conversion of JSON to {dtype}, the type of {alias!r}, is not supported",
        )
    array = _number_array(value, dtype) if is_number else None
    if array is not None:
        return array
    shape, leaves = _flatten(value, alias)
    if dtype == "string":
        flat = np.empty(len(leaves), object)
        flat[:] = [to_bytes(leaf, alias) for leaf in leaves]
        return flat.reshape(shape)
    for leaf in leaves:
        if not _fits(leaf, dtype):
            raise _wrong_type(leaf, dtype, alias)
    if dtype == "bool":
        return np.array(leaves, bool).reshape(shape)
    if dtype in FLOATS:
        return _cast(np.array(leaves, np.float64), dtype).reshape(shape)
    wide = np.uint64 if dtype == "uint64" else np.int64
    return np.array(leaves, wide).astype(dtype).reshape(shape)


def _number_array(value: Any, dtype: str) -> np.ndarray | None:
    """Return `value` as an array of a numeric dtype; None unless all values certainly fit."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind not in "fiu" or array.size == 0 or _holds_bool(value, array):
        return None
    if dtype in FLOATS:
        return _cast(array, dtype)
    least, beyond = INTEGER_RANGES[dtype]
    if array.dtype.kind == "f" or int(array.min()) < least or int(array.max()) >= beyond:
        return None
    return array.astype(dtype)


def _holds_bool(value: Any, array: np.ndarray) -> bool:
    """Return True if a bool is among the numbers: NumPy takes true for 1."""
    leaves = value if array.ndim else [value]
    for _ in range(array.ndim - 1):
        leaves = [item for part in leaves for item in part]
    return bool in set(map(type, leaves))


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _flatten(value: Any, alias: str) -> tuple[list[int], list]:
    """Return the shape and the leaves of nested lists of equal lengths. Raises INVALID_ARGUMENT."""
    shape: list[int] = []
    level = [value]
    while level and isinstance(level[0], list):
        if len(shape) == LARGEST_RANK:
            raise invalid_argument(
                f"The lists of {alias!r} are nested deeper than {LARGEST_RANK}, the largest rank of"
                " a tensor"
            )
        size = len(level[0])
        for part in level:
            if not isinstance(part, list):
                raise invalid_argument(
                    f"JSON Value: {_quote(part)} of {alias!r} found at incorrect level:"
                    f" {len(shape) + 1} in the JSON DOM."
                )
            if len(part) != size:
                raise invalid_argument(
                    f"Encountered list at unexpected size: {len(part)} at level: {len(shape)}"
                    f" expected size: {size} (input {alias!r})"
                )
        shape.append(size)
        level = [leaf for part in level for leaf in part]
    for leaf in level:
        if isinstance(leaf, list):
            raise invalid_argument(
                f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)} (input"
                f" {alias!r})"
            )
    return shape, level


def _fits(leaf: Any, dtype: str) -> bool:
    if dtype == "bool":
        return isinstance(leaf, bool)
    if dtype in FLOATS:
        return type(leaf) in (int, float)
    least, beyond = INTEGER_RANGES[dtype]
    return type(leaf) is int and least <= leaf < beyond


def _wrong_type(leaf: Any, dtype: str, alias: str) -> ServingError:
    return invalid_argument(
        f"JSON Value: {_quote(leaf)} Type: {_type_name(leaf)} is not of expected type: {dtype}"
        f" (input {alias!r})"
    )


def _type_name(leaf: Any) -> str:
    if isinstance(leaf, bool):
        return str(leaf)
    names = {int: "Number", float: "Number", str: "String", dict: "Object", list: "Array"}
    return names.get(type(leaf), "Null")


def _quote(leaf: Any) -> str:
    if isinstance(leaf, dict):
        keys = ", ".join(str(key) for key in list(leaf)[:3])
        return f"{{{keys[:QUOTED]}}}"
    return str(leaf)[:QUOTED]
