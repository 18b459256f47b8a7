"""JSON files that a program wrote and somebody may have edited: what is in them is looked at first.

A pattern is a type, a dict of patterns by name, or a list of patterns. `float` takes every number.
"""

import json
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError

KINDS = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object. Raises OSError, and UserError on what is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object.")
    return values


def fits(value: Any, pattern: Any) -> bool:
    """Tell whether a value has all that the pattern asks for."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and fits(value[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        is_as_long = isinstance(value, list) and len(value) == len(pattern)
        return is_as_long and all(map(fits, value, pattern))
    if isinstance(value, bool):
        return pattern is bool
    return isinstance(value, int | float) if pattern is float else isinstance(value, pattern)


def require_kinds(path: Path, values: dict[str, Any], kinds: dict[str, Any]) -> None:
    """Raise UserError if an entry of the file is of another kind than `kinds`, by name, say.

    Entries may be missing or null. A dict of kinds is for the entries of an object.
    """
    for name, kind in kinds.items():
        value = values.get(name)
        if value is None:
            continue
        expected = dict if isinstance(kind, dict) else kind
        if not fits(value, expected):
            raise UserError(
                f"{path} is damaged: {name} is {json.dumps(value)[:80]}, and must be"
                f" {KINDS[expected]}."
            )
        if isinstance(kind, dict):
            require_kinds(path, value, kind)
