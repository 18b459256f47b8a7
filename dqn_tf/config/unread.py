"""What settings do not do, as others are what they are: said as a run starts, and not refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dqn_tf.config.conditions import Condition, describe_conditions, unmet
from dqn_tf.config.dqn_config import FIELDS, DQNConfig
from dqn_tf.config.notation import flag_words, is_import_name

PERIODS = (
    "evaluation_period_env_steps",
    "checkpoint_period_env_steps",
    "log_period_env_steps",
)


def explain(config: DQNConfig, network: str, typed: Collection[str]) -> list[str]:
    """Return a sentence for each `typed` setting that changes nothing, and if nothing is learned.

    `network` is what --network=auto is here. The user's own torso may read any setting.
    """
    values = {name: getattr(config, name) for name in FIELDS} | {"network": network}
    sentences = []
    for name in typed:
        missing = tuple(_missing(one, values) for one in FIELDS[name].metadata["when"])
        if all(missing):
            words = " ".join(flag_words(name, values[name]))
            where = re.sub(r"`(\w+)`", r"--\1", describe_conditions(missing))
            sentences.append(f"{words} changes nothing here: it is read where {where}.")
    sentences += _late(config, typed)
    if config.tau == 0.0:
        sentences.append("--tau=0 never moves the target network from its first weights.")
    if not config.total_updates:
        steps = config.total_steps - config.warmup_env_steps
        sentences.append(
            f"Nothing is learned: the {steps:,} steps of --total_steps={config.total_steps} after"
            " warm-up are fewer than an update takes,"
            f" --env_steps_per_update={config.env_steps_per_update:g}."
        )
    return sentences


def _late(config: DQNConfig, typed: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each typed period that is shorter than a block of the host engine."""
    block = config.block_steps * config.num_envs
    for name in PERIODS:
        period = getattr(config, name)
        if name in typed and config.engine == "host" and 0 < period < block:
            yield (
                f"--{name}={period}: what is due is done after a block, of {block:,} environment"
                " steps here. Give a smaller --updates_per_block."
            )


def _missing(condition: Condition, values: Mapping[str, Any]) -> Condition:
    missing = unmet(condition, values)
    if is_import_name(values["network"]):
        return {name: allowed for name, allowed in missing.items() if name != "network"}
    return missing
