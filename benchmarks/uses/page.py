"""Writes the table of docs/uses.md from the records."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate, judged, versions
from benchmarks.uses import grid_paths
from benchmarks.uses.experiments import BY_NAME, EPISODES, Experiment, configure
from benchmarks.uses.records import FILE, Row

BEGIN = "<!-- uses measured, generated -->\n"
END = "<!-- end of uses measured -->\n"
HEADER = (
    "environment",
    "DQN [95 %]",
    "lowest run",
    "optimum",
    "short of it",
    "at random",
    "others",
    "runs",
    "steps",
    "CPU s",
)
AIM = 0.1  # short of the optimum at most, as a share of it
UNKNOWN = "—"


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    runs_of = run_records.by_experiment(read(results / FILE, Row), BY_NAME, configure)
    if not runs_of:
        return "Not measured yet.\n"
    counted = [row for runs in runs_of.values() for row in runs]
    text = tables.markdown(HEADER, [_line(BY_NAME[name], runs) for name, runs in runs_of.items()])
    text += [
        "",
        "Mean greedy return of the last weights: the mean over runs with its bootstrap interval."
        " *Short of it*: how far that is below the optimum, as a share of the optimum; the aim is"
        f" {AIM:.0%} at most. *At random*: drawn from the legal actions. Where the environment's"
        " chances are known, all numbers of a line are exact, those of each run's policy, too: of"
        " the tables of Gymnasium, of Blackjack and of JobPlacement with few machines. Elsewhere"
        f" a run's score is the mean of {EPISODES:,} episodes; MiniGrid's optimum is that of the"
        f" shortest ways through the first {grid_paths.EPISODES}."
        f" {versions(counted)}",
        "",
    ]
    return "\n".join(text)


def shortfall(score: float, optimum: float) -> float:
    """Return how far a score is below the optimum, as a share of the optimum's size."""
    return (optimum - score) / abs(optimum)


def _line(experiment: Experiment, runs: Sequence[Row]) -> tuple[str, ...]:
    last = runs[-1]
    scores = [run.score for run in runs]
    mean = estimate(scores)
    digits = 3 if abs(mean.value) < 1 else 2
    others = [f"{name} {value:.{digits}f}" for name, value in last.by_rule().items()]
    optimum = share = UNKNOWN
    if last.optimum is not None:
        optimum = f"{last.optimum:.{digits}f}"
        short = shortfall(mean.value, last.optimum)
        share = f"{max(short, 0.0):.1%}, {judged(short <= AIM, len(runs))}"
    return (
        experiment.title,
        mean.show(digits),
        f"{min(scores):.{digits}f}",
        optimum,
        share,
        f"{last.at_random:,.{digits}f}",
        ", ".join(others) or UNKNOWN,
        str(len(runs)),
        f"{last.env_steps:,}",
        f"{np.median([run.cpu_seconds for run in runs]):.0f}",
    )
