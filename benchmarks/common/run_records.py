"""The columns that every record of a training run has."""

import datetime
from typing import Any

from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig


def columns(config: DQNConfig, result: dict[str, Any]) -> dict[str, Any]:
    """Return what was run and what it cost, with which versions, where and when, by column."""
    return {
        "seed": config.seed or 0,
        "config_hash": config_hash(config),
        "updates": result["updates"],
        "env_steps": result["env_steps"],
        "seconds": round(result["seconds"], 2),
        "cpu_seconds": round(result["cpu_seconds"], 2),
        **provenance(),
        "machine": machine.describe(),
        "date": datetime.date.today().isoformat(),
        "settings": settings(config),
    }
