"""How a configuration is typed: the flags of train.py that make it, quoted for a shell."""

import dataclasses
import shlex
from collections.abc import Collection
from typing import Any

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import flag_words
from dqn_tf.support.errors import UserError


def training_flags(config: DQNConfig, left_out: Collection[str] = ()) -> list[str]:
    """Return the flags of train.py that make this configuration, but for what is `left_out`.

    What they make without a setting, by the environment's preset, is not typed.
    """
    values = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(DQNConfig)
        if field.name not in ("env", *left_out)
    }
    made = presets.configure(config.env, values)
    for name in list(values):
        others = {other: value for other, value in values.items() if other != name}
        if _makes(config.env, others, made):
            values = others
    if "learning_rate_end" in values and values["learning_rate_end"] is None:
        # the preset's falls, and no flag says none: this one stays where it begins
        values["learning_rate_end"] = config.learning_rate
    return setting_flags({"env": config.env} | values)


def setting_flags(values: dict[str, Any]) -> list[str]:
    """Return flags with these values; what is quoted is the value, and not the flag's name."""
    words = [word for name, value in values.items() for word in flag_words(name, value)]
    return [_quoted(word) for word in words]


def _quoted(word: str) -> str:
    name, sign, value = word.partition("=")
    return name + sign + shlex.quote(value) if sign else word


def _makes(env: str, overrides: dict[str, Any], config: DQNConfig) -> bool:
    try:
        return presets.configure(env, overrides) == config
    except UserError:
        return False
