"""The record of the experiments: one CSV, one row per finished run."""

import json
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import run_records
from benchmarks.graph_walk.experiments import GRAPHS
from dqn_tf.config.dqn_config import DQNConfig

FILE = "runs.csv"


class Row(NamedTuple):
    """One run. `config_hash` is the same for all seeds of an experiment on a graph."""

    experiment: str
    graph: str
    seed: int
    config_hash: str
    updates: int
    env_steps: int
    score: float  # mean greedy return over all starts, last weights
    success: float  # share of the starts
    pretrained_cross_entropy: float | None  # of held-out walks, after pretraining
    held_out_cross_entropy: float | None  # at the end
    kl_to_pretrained: float | None
    seconds: float  # wall clock of updates and steps, without compilation
    cpu_seconds: float  # of one thread, with compilation
    compiling_cpu_seconds: float
    model: str  # JSON: what the pretrained model itself scores
    acting: str  # JSON: return and success of the last weights by each way of acting
    curve: str  # environment step:CPU seconds without compilation:return, with blanks between
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    machine: str
    date: str
    settings: str  # flags of train.py


def row(experiment: str, config: DQNConfig, result: dict[str, Any]) -> Row:
    """Make the record of one finished run, from what `run_one.Runner.run` returned."""
    return Row(
        experiment=experiment,
        graph=config.env_kwargs.get("graph", GRAPHS[0]),
        score=round(result["score"], 5),
        success=round(result["success"], 5),
        pretrained_cross_entropy=_rounded(result.get("pretrained_cross_entropy")),
        held_out_cross_entropy=_rounded(result.get("held_out_cross_entropy")),
        kl_to_pretrained=_rounded(result.get("kl_to_pretrained")),
        compiling_cpu_seconds=round(result["compiling_cpu_seconds"], 2),
        model=_json({name: round(value, 5) for name, value in result["model"].items()}),
        acting=_json({name: np.round(pair, 5).tolist() for name, pair in result["acting"].items()}),
        curve=result["curve"],
        **run_records.columns(config, result),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)
