"""The kinds of values that settings have, and whether a value is of one."""

import math
import numbers
from typing import Any

NAMES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "tuple[int, ...]": "a list of whole numbers",
    "tuple[str, ...]": "a list of texts",
    "dict[str, Any]": "a JSON object",
}


def cast(value: Any, kind: str) -> Any:
    """Return a value of this kind, a key of NAMES, as Python has it; `| None` allows None.

    NumPy's numbers and JSON's lists become Python's numbers and tuples, and 1e5 is a whole number.
    Raises TypeError for what is of another kind.
    """
    kind, _, optional = kind.partition(" | ")
    if value is None and optional:
        return None
    if kind.startswith("tuple["):
        if not isinstance(value, list | tuple):
            raise TypeError
        return tuple(cast(part, kind[len("tuple[") : kind.index(",")]) for part in value)
    if kind.startswith("dict["):
        if not isinstance(value, dict):
            raise TypeError
        return dict(value)
    if kind == "bool":
        if not _is_truth(value):
            raise TypeError
        return bool(value)
    if kind == "str":
        if not isinstance(value, str):
            raise TypeError
        return str(value)
    if _is_truth(value) or not isinstance(value, numbers.Real):
        raise TypeError
    if kind == "float":
        is_python = isinstance(value, int | float) and type(value).__module__ != "numpy"
        return value if is_python else float(value)
    return _whole(value)


def _is_truth(value: Any) -> bool:
    # NumPy's too, by its name: speed workers of other systems read settings without NumPy
    kind = type(value)
    is_numpy = kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")
    return is_numpy or isinstance(value, bool)


def _whole(value: numbers.Real) -> int:
    if isinstance(value, numbers.Integral):
        return int(value)
    number = float(value)
    if not math.isfinite(number) or not number.is_integer():
        raise TypeError
    return int(number)


def describe(kind: str) -> str:
    """Return what completes the sentence "must be ...", such as a whole number."""
    kind, _, optional = kind.partition(" | ")
    return NAMES.get(kind, kind) + (" or null" if optional else "")
