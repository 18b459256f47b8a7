"""The configuration as absl flags: one flag for each field."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.config.ranges import Range
from dqn_tf.support.command_line import Entry
from dqn_tf.support.errors import UserError


def define_config_flags(values: flags.FlagValues, names: Sequence[str] | None = None) -> None:
    """Define one flag per field of DQNConfig, or for those of these `names` alone.

    None means that the user did not give it.
    """
    kinds: dict[str, Callable[..., Any]] = {
        "int": flags.DEFINE_integer,
        "float": flags.DEFINE_float,
        "bool": flags.DEFINE_bool,
        "tuple[str, ...]": flags.DEFINE_multi_string,  # may be given several times
    }
    for field in _fields(names):
        define = kinds.get(_kind(field), flags.DEFINE_string)
        define(field.name, None, field.metadata["help"], flag_values=values)


def config_overrides(values: dict[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the fields of DQNConfig that the user gave, or those of `names`, in their types.

    `values` are the values of all flags by name. Raises UserError.
    """
    overrides = {
        field.name: _typed(field, values[field.name])
        for field in _fields(names)
        if values[field.name] is not None
    }
    if "env" in overrides:
        overrides["env"] = presets.full_id(overrides["env"])
    return overrides


def checked_overrides(values: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return what `config_overrides` does, each looked at by itself. Raises UserError."""
    overrides = config_overrides(values, names)
    for field in _fields(list(overrides)):
        allowed = field.metadata["allowed"]
        if allowed is not None and overrides[field.name] not in allowed:
            raise UserError(f"--{field.name}={values[field.name]}: must be {allowed}.")
    return overrides


def require_ranges(
    values: Mapping[str, Any], ranges: Mapping[str, Range], typed: str = "--"
) -> None:
    """Raise UserError unless each of the numbers that have a range lies in it.

    None stands for "not given". `typed` is how a sentence begins: a flag's name, or "" an
    argument's.
    """
    for name, value in values.items():
        allowed = ranges.get(name)
        if allowed is not None and value is not None and value not in allowed:
            raise UserError(f"{typed}{name}={value}: must be {allowed}.")


def config_sections(config: DQNConfig) -> dict[str, list[Entry]]:
    """Return the help page's entries of all fields by group, with the values of `config`."""
    sections: dict[str, list[Entry]] = {}
    for field in dataclasses.fields(DQNConfig):
        text, source = field.metadata["help"], field.metadata["source"]
        if source:
            text += f" ({source})"
        value = getattr(config, field.name)
        shown = "" if value is None else show(value)
        section = sections.setdefault(field.metadata["group"], [])
        section.append(Entry(field.name, text, shown, field.metadata["unit"]))
    return sections


def _fields(names: Sequence[str] | None) -> list[dataclasses.Field]:
    """Return the fields of these names; without names, all of them."""
    fields = dataclasses.fields(DQNConfig)
    return [field for field in fields if names is None or field.name in names]


def _kind(field: dataclasses.Field) -> str:
    return str(field.type).removesuffix(" | None")


def _typed(field: dataclasses.Field, value: Any) -> Any:
    """Return the value in its field's type: `--hidden_units=128,128` is (128, 128).

    A flag that may be given several times is none with an empty value: `--data=`.
    """
    kind = _kind(field)
    if kind.startswith("dict["):
        return _json_object(field, value)
    if not kind.startswith("tuple["):
        return value
    if kind == "tuple[str, ...]":
        return () if value == [""] else tuple(value)
    try:
        return tuple(int(word) for word in value.split(",") if word)
    except ValueError as error:
        raise UserError(f"--{field.name}={value}: must be {field.metadata['allowed']}.") from error


def _json_object(field: dataclasses.Field, value: str) -> dict[str, Any]:
    try:
        values = json.loads(value) if value.strip() else {}
    except (ValueError, RecursionError) as error:
        raise UserError(f"--{field.name}={value}: must be {field.metadata['allowed']}.") from error
    if not isinstance(values, dict):
        raise UserError(f"--{field.name}={value}: must be {field.metadata['allowed']}.")
    return values
