"""What the records say: the runs of an experiment, means, and when a return is reached."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.common import run_records
from benchmarks.common.report import estimate
from benchmarks.graph_walk import experiments
from benchmarks.graph_walk.experiments import Experiment
from benchmarks.graph_walk.records import Row
from benchmarks.scores.statistics import Estimate


class Point(NamedTuple):
    """One score on the way."""

    env_step: int
    cpu_seconds: float
    score: float


def current(experiment: Experiment, graph: str, rows: Sequence[Row]) -> list[Row]:
    """Select the runs of today's settings by seed; of a seed done twice, the later."""
    config = experiments.configure(experiment, graph, 0, {})  # which holds the graph
    found = run_records.current(rows, experiment.name, config, experiment.seeds_of(graph))
    return sorted(found, key=lambda row: row.seed)


def rises(runs: Sequence[Row]) -> list[float]:
    """Return by how much the held-out cross-entropy rose after pretraining, of runs that tell."""
    return [
        run.held_out_cross_entropy - run.pretrained_cross_entropy
        for run in runs
        if run.held_out_cross_entropy is not None and run.pretrained_cross_entropy is not None
    ]


def curve(run: Row) -> list[Point]:
    """Read the scores of a run on the way."""
    points = []
    for word in run.curve.split():
        step, seconds, score = word.split(":")
        points.append(Point(int(step), float(seconds), float(score)))
    return points


def seconds_to(run: Row, least: float) -> float | None:
    """Return the CPU seconds, without compilation, until a score was first as good; None: never."""
    return next((point.cpu_seconds for point in curve(run) if point.score >= least), None)


def acting(run: Row) -> dict[str, tuple[float, float]]:
    """Return mean return and success by each way of acting."""
    return {name: (pair[0], pair[1]) for name, pair in json.loads(run.acting).items()}


def model(runs: Sequence[Row], name: str) -> tuple[Estimate, Estimate]:
    """Return what the pretrained model itself scores, and how often it arrives."""
    scores = [json.loads(run.model) for run in runs]
    return (
        estimate([score[name] for score in scores]),
        estimate([score[f"{name}_success"] for score in scores]),
    )
