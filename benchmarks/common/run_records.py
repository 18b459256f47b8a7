"""The columns that every record of a training run has, and which rows count."""

import datetime
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, TypeVar

from benchmarks.common import machine
from benchmarks.common.records import provenance
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig

RowType = TypeVar("RowType")


def current(
    rows: Sequence[RowType], name: str, config: DQNConfig, seeds: Container[int]
) -> list[RowType]:
    """Select an experiment's runs of these settings and seeds; of a seed done twice, the later."""
    own_hash = config_hash(config)
    found = {}
    for row in rows:
        run: Any = row
        if (run.experiment, run.config_hash) == (name, own_hash) and run.seed in seeds:
            found[run.seed] = row
    return list(found.values())


def by_experiment(
    rows: Sequence[RowType],
    by_name: Mapping[str, Any],
    configure: Callable[[Any, int, dict[str, Any]], DQNConfig],
) -> dict[str, list[RowType]]:
    """Return the runs of today's settings of all experiments that have some, by name."""
    found = {
        name: current(rows, name, configure(experiment, 0, {}), experiment.seeds)
        for name, experiment in by_name.items()
    }
    return {name: runs for name, runs in found.items() if runs}


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
