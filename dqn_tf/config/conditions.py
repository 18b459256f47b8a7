"""Values of other settings beside which a setting is read, or is tried by a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dqn_tf.config.notation import show
from dqn_tf.config.ranges import Format, Range

Condition = Mapping[str, "Range | Format | tuple[Any, ...]"]  # by the other setting's name
AnyOf = tuple[Condition, ...]

ALWAYS: AnyOf = ({},)

GIVEN = Format("given", bool)
POSITIVE = Range(above=0)


def unmet(condition: Condition, values: Mapping[str, Any]) -> Condition:
    """Return the part of the condition that these values of all settings do not meet."""
    return {name: allowed for name, allowed in condition.items() if values[name] not in allowed}


def is_any_met(conditions: AnyOf, values: Mapping[str, Any]) -> bool:
    """Tell whether these values of all settings meet one of the conditions."""
    return any(not unmet(condition, values) for condition in conditions)


def describe_conditions(conditions: AnyOf) -> str:
    """Return the conditions in words, as docs show them; empty for ALWAYS."""
    return ", or ".join(" and ".join(map(_describe, one, one.values())) for one in conditions)


def _describe(name: str, allowed: Any) -> str:
    if isinstance(allowed, tuple):
        return f"`{name}` is {' or '.join(map(shown_value, allowed))}"
    return f"`{name}` is {allowed}"


def shown_value(value: Any) -> str:
    """Return a value as docs show it."""
    words = {None: "not given", True: "on", False: "off"}
    return words[value] if value is None or isinstance(value, bool) else show(value)
