"""The winner as it is used: the command of train.py, and the lines of a preset."""

import dataclasses
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.setting import IMPROVEMENTS, RECORDS
from dqn_tf.config.typed import training_flags
from dqn_tf.search.flags import OF_RUNS
from dqn_tf.support import command_line

INDENT = " " * 4


def differing(config: DQNConfig, other: DQNConfig) -> dict[str, Any]:
    """Return the settings of `config` that are others than those of `other`, but for records."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(DQNConfig)
        if field.name not in OF_RUNS
        and field.metadata["group"] != RECORDS
        and getattr(config, field.name) != getattr(other, field.name)
    }


def command(config: DQNConfig) -> str:
    """Return the command that trains with these settings."""
    of_records = [
        field.name for field in dataclasses.fields(DQNConfig) if field.metadata["group"] == RECORDS
    ]
    flags = training_flags(config, left_out=(*OF_RUNS, *of_records))
    return " ".join([command_line.other_command("training"), *flags])


def snippet(config: DQNConfig, claim: str) -> str:
    """Return the entry of `presets.PRESETS` with these settings; the engine is left to the run."""
    values = differing(config, DQNConfig())
    values.pop("env", None)
    values.pop("engine", None)
    groups = {field.name: field.metadata["group"] for field in dataclasses.fields(DQNConfig)}
    plain = {name: value for name, value in values.items() if groups[name] != IMPROVEMENTS}
    improved = {name: value for name, value in values.items() if groups[name] == IMPROVEMENTS}
    lines = [f'"{config.env}": Preset(']
    for part in (plain, improved):
        if not part:
            lines.append(f"{INDENT}{{}},")
            continue
        lines.append(f"{INDENT}{{")
        lines += [f"{INDENT * 2}{_text(name)}: {_text(value)}," for name, value in part.items()]
        lines.append(f"{INDENT}}},")
    lines += [f"{INDENT}{_text(claim)},", "),"]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
