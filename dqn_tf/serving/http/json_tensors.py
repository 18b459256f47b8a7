"""The body of a predict request → named arrays, by the rules of TensorFlow Serving.

Rows (`instances`): a list of values, or of objects that hold every input. Columns (`inputs`): a
value, a list, or an object. int types take only integer tokens, bool only true and false, strings
text or {"b64": ...}. 8- and 16-bit integers wrap around; floats beyond float32 are infinite.
"""

import base64
import binascii
from typing import Any

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid
from dqn_tf.serving.models.loaded_model import Signature

FLOATS = ("float32", "float64")
RANGES = {
    "int8": (-(2**31), 2**31),
    "uint8": (-(2**31), 2**31),
    "int16": (-(2**31), 2**31),
    "uint16": (-(2**31), 2**31),
    "int32": (-(2**31), 2**31),
    "int64": (-(2**63), 2**63),
    "uint32": (0, 2**32),
    "uint64": (0, 2**64),
}
DEEPEST = 254  # TensorFlow's largest rank
SHOWN = 60  # characters of a value that an error quotes


def inputs(document: dict[str, Any], signature: Signature) -> tuple[dict[str, np.ndarray], bool]:
    """The signature's inputs in the document, and whether they came as rows.

    Raises INVALID_ARGUMENT, UNIMPLEMENTED.
    """
    rows = "instances" in document
    if rows and "inputs" in document:
        raise invalid(
            "JSON Value: Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
            " to exist"
        )
    if not rows and "inputs" not in document:
        raise invalid("Missing 'inputs' or 'instances' key")
    given = document["instances" if rows else "inputs"]
    columns = _from_rows(given, signature) if rows else _from_columns(given, signature)
    return {
        alias: _array(columns[alias], tensor.dtype.name, alias)
        for alias, tensor in signature.inputs.items()
    }, rows


def _from_rows(given: Any, signature: Signature) -> dict[str, list]:
    if not isinstance(given, list) or not given:
        raise invalid("JSON Value: Expecting 'instances' to be a list/array that is not empty")
    named = is_named(given[0])
    if not named and len(signature.inputs) != 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map"
        )
    for index, row in enumerate(given):
        if is_named(row) != named:
            raise invalid(
                f"Expecting {'object but got value' if named else 'value/list but got object'} at"
                f" item {index} of input list"
            )
        if named and row.keys() != signature.inputs.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. Its keys must be equal"
                f" to: {','.join(signature.inputs)}"
            )
    if not named:
        return dict.fromkeys(signature.inputs, given)
    return {alias: [row[alias] for row in given] for alias in signature.inputs}


def _from_columns(given: Any, signature: Signature) -> dict[str, Any]:
    if not is_named(given):
        if len(signature.inputs) != 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors"
                " required as per tensorinfo_map"
            )
        return dict.fromkeys(signature.inputs, given)
    for alias in signature.inputs:
        if alias not in given:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return given


def is_named(value: Any) -> bool:
    """An object, but for {"b64": text}, which is a value."""
    return isinstance(value, dict) and not (len(value) == 1 and isinstance(value.get("b64"), str))


def _array(value: Any, dtype: str, alias: str) -> np.ndarray:
    """A dense array of `dtype`.

    Most values need no look at each number; what NumPy finds odd is looked at, to say what is wrong
    with it.
    """
    if dtype not in FLOATS and dtype not in RANGES and dtype not in ("bool", "string"):
        raise ServingError(
            "UNIMPLEMENTED",
            f"Conversion of JSON to {dtype}, the type of {alias!r}, is not supported",
        )
    if dtype in FLOATS or dtype in RANGES:
        if (quick := _numbers(value, dtype)) is not None:
            return quick
    shape, leaves = _flattened(value, alias)
    if dtype == "string":
        flat = np.empty(len(leaves), object)
        flat[:] = [text_bytes(leaf, alias) for leaf in leaves]
        return flat.reshape(shape)
    for leaf in leaves:
        if not _fits(leaf, dtype):
            raise invalid(
                f"JSON Value: {_shown(leaf)} Type: {_kind(leaf)} is not of expected type: {dtype}"
                f" (input {alias!r})"
            )
    if dtype in FLOATS or dtype == "bool":
        return _cast(np.array(leaves, np.float64 if dtype in FLOATS else bool), dtype).reshape(
            shape
        )
    return (
        np.array(leaves, np.uint64 if dtype == "uint64" else np.int64).astype(dtype).reshape(shape)
    )


def _numbers(value: Any, dtype: str) -> np.ndarray | None:
    """`value` as an array of a numeric dtype if it holds nothing else than fitting numbers, or None
    if that is not certain.
    """
    try:
        found = np.array(value)
    except (ValueError, OverflowError):
        return None
    if found.dtype.kind not in "fiu" or found.size == 0 or _holds_bool(value, found):
        return None
    if dtype in FLOATS:
        return _cast(found, dtype)
    least, beyond = RANGES[dtype]
    if found.dtype.kind == "f" or int(found.min()) < least or int(found.max()) >= beyond:
        return None
    return found.astype(dtype)


def _holds_bool(value: Any, found: np.ndarray) -> bool:
    """NumPy takes true for 1 where numbers stand beside it."""
    for _ in range(found.ndim - 1):
        value = [item for part in value for item in part]
    return bool in set(map(type, value if found.ndim else [value]))


def _cast(found: np.ndarray, dtype: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        return found.astype(dtype)


def _flattened(value: Any, alias: str) -> tuple[list[int], list]:
    """Shape and leaves of nested lists of equal lengths."""
    shape, level = [], [value]
    while level and isinstance(level[0], list):
        size = len(level[0])
        if len(shape) == DEEPEST:
            raise invalid(
                f"The lists of {alias!r} are nested deeper than {DEEPEST}, the largest rank of a"
                " tensor"
            )
        for part in level:
            if not isinstance(part, list):
                raise invalid(
                    f"JSON Value: {_shown(part)} of {alias!r} found at incorrect level:"
                    f" {len(shape) + 1} in the JSON DOM."
                )
            if len(part) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(part)} at level: {len(shape)}"
                    f" expected size: {size} (input {alias!r})"
                )
        shape.append(size)
        level = [leaf for part in level for leaf in part]
    for leaf in level:
        if isinstance(leaf, list):
            raise invalid(
                f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)} (input"
                f" {alias!r})"
            )
    return shape, level


def _fits(leaf: Any, dtype: str) -> bool:
    if dtype == "bool":
        return isinstance(leaf, bool)
    if dtype in FLOATS:
        return type(leaf) in (int, float)
    least, beyond = RANGES[dtype]
    return type(leaf) is int and least <= leaf < beyond


def text_bytes(leaf: Any, alias: str) -> bytes:
    """Text, or what {"b64": text} stands for."""
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogateescape")
    if is_named(leaf) or not isinstance(leaf, dict):
        raise invalid(
            f"JSON Value: {_shown(leaf)} Type: {_kind(leaf)} is not of expected type: string (input"
            f" {alias!r})"
        )
    text = leaf["b64"].translate(
        {ord("-"): "+", ord("_"): "/"} if "-" in leaf["b64"] or "_" in leaf["b64"] else {}
    )
    try:
        return base64.b64decode(
            text + "=" * (-len(text) % 4) if "=" not in text else text, validate=True
        )
    except (binascii.Error, ValueError):
        raise invalid(f"Unable to base64 decode the value of {alias!r}") from None


def _kind(leaf: Any) -> str:
    return {
        bool: str(leaf),
        int: "Number",
        float: "Number",
        str: "String",
        dict: "Object",
        list: "Array",
    }.get(type(leaf), "Null")


def _shown(leaf: Any) -> str:
    return (
        f"{{{', '.join(map(str, list(leaf)[:3]))[:SHOWN]}}}"
        if isinstance(leaf, dict)
        else str(leaf)[:SHOWN]
    )
