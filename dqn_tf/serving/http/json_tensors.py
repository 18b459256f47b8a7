"""Converts JSON values to arrays, by the rules of TensorFlow Serving.

Rows (`instances`) are a list of values, or of objects that hold every input. Columns (`inputs`) are
a value, a list, or an object. Integer types take only integer tokens, bool only true and false,
strings text or {"b64": ...}. 8- and 16-bit integers wrap around; floats beyond float32 are
infinite.

The types of all values are looked at before NumPy makes an array of them: of a text and numbers it
would make an array of texts, each as long as the longest.
"""

import base64
import binascii
import itertools
from typing import Any

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.models.signature import Arrays, Signature, TensorInfo

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
LEAF_TYPES: dict[str, set[type]] = {
    "string": {str, dict},
    "bool": {bool},
    **{name: {int, float} for name in FLOATS},
    **{name: {int} for name in INTEGER_RANGES},
}
# of base64: the URL's alphabet to the usual one, and what may stand between its letters
TO_USUAL = bytes.maketrans(b"-_", b"+/")
WHITESPACE = b" \t\n\v\f\r"
QUOTED = 60  # characters of a value that an error quotes


def read_inputs(
    document: dict[str, Any], signature: Signature, max_rows: int
) -> tuple[Arrays, bool]:
    """Return the signature's inputs in the document, and True if they came as rows.

    Raises INVALID_ARGUMENT, UNIMPLEMENTED.
    """
    is_rows = check_form(document.keys())
    if not is_rows:
        return _read_columns(document["inputs"], signature, max_rows), False
    rows = document["instances"]
    if not isinstance(rows, list) or not rows:
        raise empty_rows()
    return read_rows(rows, signature, max_rows, is_named(rows[0])), True


def check_form(keys: Any) -> bool:
    """Return True for rows, False for columns. Raises INVALID_ARGUMENT for both or neither."""
    is_rows = "instances" in keys
    if is_rows and "inputs" in keys:
        raise invalid_argument(
            "JSON Value: Not formatted correctly expecting only one of 'inputs' or 'instances' keys"
            " to exist"
        )
    if not is_rows and "inputs" not in keys:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    return is_rows


def empty_rows() -> ServingError:
    """Return the error of `instances` that is no list, or an empty one."""
    return invalid_argument(
        "JSON Value: Expecting 'instances' to be a list/array that is not empty"
    )


def read_rows(rows: list, signature: Signature, max_rows: int, has_names: bool) -> Arrays:
    """Return the inputs in a list of rows. Raises INVALID_ARGUMENT."""
    check_one_input(signature, has_names, "instances")
    for index, row in enumerate(rows):
        if is_named(row) != has_names:
            mismatch = "object but got value" if has_names else "value/list but got object"
            raise invalid_argument(f"Expecting {mismatch} at item {index} of input list")
        if has_names and row.keys() != signature.inputs.keys():
            raise wrong_keys(signature, index)
    inputs = {}
    for alias, tensor in signature.inputs.items():
        values = [row[alias] for row in rows] if has_names else rows
        try:
            inputs[alias] = to_array(values, tensor, alias, max_rows)
        except ServingError as error:
            # so does TensorFlow Serving, also for a type that it does not support
            raise invalid_argument(error.message) from None
    return inputs


def wrong_keys(signature: Signature, index: int) -> ServingError:
    """Return the error of a row whose keys are not the inputs of the signature."""
    return invalid_argument(
        f"Failed to process element: {index} of 'instances' list. Its keys must be equal to:"
        f" {','.join(signature.inputs)}"
    )


def check_one_input(signature: Signature, has_names: bool, key: str) -> None:
    """Raise INVALID_ARGUMENT if values without names are given for several inputs."""
    if has_names or len(signature.inputs) == 1:
        return
    if key == "instances":
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors"
            " required as per tensorinfo_map"
        )
    raise invalid_argument(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required"
        " as per tensorinfo_map"
    )


def missing_input(alias: str) -> ServingError:
    """Return the error of columns without the input `alias`."""
    return invalid_argument(f"Missing named input: {alias} in 'inputs' object.")


def is_named(value: Any) -> bool:
    """Return True for an object of named inputs; {"b64": text} is a value."""
    return isinstance(value, dict) and not is_base64(value)


def is_base64(value: Any) -> bool:
    """Return True for {"b64": text}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def to_bytes(leaf: Any, alias: str) -> bytes:
    """Return the bytes of a text, of {"b64": text}, or themselves. Raises INVALID_ARGUMENT."""
    if isinstance(leaf, bytes):
        return leaf
    if isinstance(leaf, str):
        return leaf.encode("utf-8", "surrogateescape")
    if not is_base64(leaf):
        raise wrong_type(leaf, "string", alias)
    return decode_base64(leaf["b64"].encode("utf-8", "surrogateescape"), alias)


def decode_base64(text: bytes, alias: str) -> bytes:
    """Decode base64 in the usual or the URL's alphabet, padded or not, in lines or not.

    Raises INVALID_ARGUMENT.
    """
    text = text.translate(TO_USUAL, WHITESPACE)
    if b"=" not in text:
        text += b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong_base64(alias) from None


def wrong_base64(alias: str) -> ServingError:
    """Return the error of a text that is no base64."""
    return invalid_argument(f"Unable to base64 decode the value of {alias!r}")


def to_array(
    value: Any, tensor: TensorInfo, alias: str, max_rows: int, outer_rank: int = 0
) -> np.ndarray:
    """Return the dense array of a value that is nested in `outer_rank` further lists.

    Raises INVALID_ARGUMENT; UNIMPLEMENTED for a type that JSON does not have.
    """
    dtype = tensor.dtype.name
    if dtype not in LEAF_TYPES:
        raise ServingError(
            "UNIMPLEMENTED",
            f"Conversion of JSON to {dtype}, the type of {alias!r}, is not supported",
        )
    shape, leaves = _flatten(value, tensor, alias, outer_rank)
    if outer_rank == 0 and shape:
        tensor.check_size(shape[0], len(leaves), max_rows, alias)
    if not set(map(type, leaves)) <= LEAF_TYPES[dtype]:
        odd_leaf = next(leaf for leaf in leaves if type(leaf) not in LEAF_TYPES[dtype])
        raise wrong_type(odd_leaf, dtype, alias)
    if dtype == "string":
        flat = np.empty(len(leaves), object)
        flat[:] = [to_bytes(leaf, alias) for leaf in leaves]
        return flat.reshape(shape)
    if dtype in INTEGER_RANGES:
        return _integers(leaves, dtype, alias).reshape(shape)
    if dtype == "bool":
        return np.array(leaves, bool).reshape(shape)
    with np.errstate(over="ignore"):
        return np.array(leaves, np.float64).astype(dtype).reshape(shape)


def wrong_type(leaf: Any, dtype: str, alias: str) -> ServingError:
    """Return the error of a value that does not fit the type of its input."""
    return invalid_argument(
        f"JSON Value: {_quote(leaf)} Type: {_type_name(leaf)} is not of expected type: {dtype}"
        f" (input {alias!r})"
    )


def _read_columns(value: Any, signature: Signature, max_rows: int) -> Arrays:
    has_names = is_named(value)
    check_one_input(signature, has_names, "inputs")
    inputs = {}
    for alias, tensor in signature.inputs.items():
        if has_names and alias not in value:
            raise missing_input(alias)
        inputs[alias] = to_array(value[alias] if has_names else value, tensor, alias, max_rows)
    return inputs


def _flatten(value: Any, tensor: TensorInfo, alias: str, outer_rank: int) -> tuple[list[int], list]:
    """Return the shape and the leaves of nested lists of equal lengths. Raises INVALID_ARGUMENT."""
    shape: list[int] = []
    level = [value]
    while level and type(level[0]) is list:
        tensor.check_rank(outer_rank + len(shape) + 1, alias)
        if set(map(type, level)) != {list}:
            odd_part = next(part for part in level if type(part) is not list)
            raise invalid_argument(
                f"JSON Value: {_quote(odd_part)} of {alias!r} found at incorrect level:"
                f" {len(shape) + 1} in the JSON DOM."
            )
        size = len(level[0])
        if set(map(len, level)) != {size}:
            odd_size = next(len(part) for part in level if len(part) != size)
            raise invalid_argument(
                f"Encountered list at unexpected size: {odd_size} at level: {len(shape)}"
                f" expected size: {size} (input {alias!r})"
            )
        shape.append(size)
        level = list(itertools.chain.from_iterable(level))
    if list in set(map(type, level)):
        raise invalid_argument(
            f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)} (input"
            f" {alias!r})"
        )
    return shape, level


def _integers(leaves: list[int], dtype: str, alias: str) -> np.ndarray:
    least, beyond = INTEGER_RANGES[dtype]
    if leaves and not (least <= min(leaves) and max(leaves) < beyond):
        odd_leaf = next(leaf for leaf in leaves if not least <= leaf < beyond)
        raise wrong_type(odd_leaf, dtype, alias)
    wide = np.uint64 if dtype == "uint64" else np.int64
    return np.array(leaves, wide).astype(dtype)


def _type_name(leaf: Any) -> str:
    if isinstance(leaf, bool):
        return str(leaf)
    names = {int: "Number", float: "Number", str: "String", dict: "Object", list: "Array"}
    return names.get(type(leaf), "Null")


def _quote(leaf: Any) -> str:
    """Return the beginning of a value, whatever its size and depth."""
    if isinstance(leaf, dict):
        keys = ", ".join(str(key)[:QUOTED] for key in itertools.islice(leaf, 3))
        return f"{{{keys[:QUOTED]}}}"
    if isinstance(leaf, list):
        return f"[{len(leaf)} values]"
    return str(leaf)[:QUOTED]
