"""The configuration as absl flags: one flag for each field."""

import dataclasses
from typing import Any

from absl import flags

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError


def define_config_flags(flag_values: flags.FlagValues) -> None:
    """One flag per field of DQNConfig; None means that the user did not give it."""
    kinds = {"int": flags.DEFINE_integer, "float": flags.DEFINE_float, "bool": flags.DEFINE_bool}
    for field in dataclasses.fields(DQNConfig):
        define = kinds.get(_kind(field), flags.DEFINE_string)
        define(field.name, None, field.metadata["help"], flag_values=flag_values)


def config_overrides(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of DQNConfig among all flags' values that the user gave, each in its field's type.

    Raises UserError.
    """
    return {
        field.name: _typed(field, values[field.name])
        for field in dataclasses.fields(DQNConfig)
        if values[field.name] is not None
    }


def _kind(field: dataclasses.Field) -> str:
    return field.type.removesuffix(" | None")


def _typed(field: dataclasses.Field, value: Any) -> Any:
    """Flags know no tuples: `--hidden_units=128,128` becomes (128, 128)."""
    if not _kind(field).startswith("tuple"):
        return value
    try:
        return tuple(int(word) for word in value.split(",") if word)
    except ValueError as error:
        raise UserError(
            f"--{field.name}={value}: must be whole numbers such as 256,256."
        ) from error
