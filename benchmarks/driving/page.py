"""Writes the table of docs/uses.md on driving from the records."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate, paired_difference, versions
from benchmarks.driving.drives import SECONDS
from benchmarks.driving.experiments import BY_NAME, EPISODES, configure
from benchmarks.driving.records import FILE, Row

BEGIN = "<!-- driving measured, generated -->\n"
END = "<!-- end of driving measured -->\n"
HEADER = (
    "system",
    "return [95 %]",
    "lowest run",
    "whole drives [95 %]",
    "CPU s",
    "runs",
)
# by experiment, what it is compared with
COMPARED = {"blocks_of_16": "blocks_of_1", "stable_baselines3": "blocks_of_1"}


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    runs_of = run_records.by_experiment(read(results / FILE, Row), BY_NAME, configure)
    if not runs_of:
        return "Not measured yet.\n"
    counted = [row for runs in runs_of.values() for row in runs]
    text = tables.markdown(HEADER, [_line(name, runs) for name, runs in runs_of.items()])
    beside = sorted({row.versions for row in counted})
    text += [
        "",
        *_differences(runs_of),
        f"Greedy drives of {SECONDS} s with the last weights, {EPISODES} for each run and the same"
        " for all; mean over the runs with its bootstrap interval. *Whole drives*: those that no"
        " crash ended before their time. *CPU s*: of training."
        f" {versions(counted)} Beside them: {'; '.join(beside)}.",
        "",
        f"`python train.py {counted[0].settings}`",
        "",
    ]
    return "\n".join(text)


def _line(name: str, runs: Sequence[Row]) -> tuple[str, ...]:
    scores = [run.score for run in runs]
    return (
        BY_NAME[name].title,
        estimate(scores).show(2),
        f"{min(scores):.2f}",
        estimate([run.whole for run in runs]).show(2),
        f"{np.median([run.cpu_seconds for run in runs]):.0f}",
        str(len(runs)),
    )


def _differences(runs_of: Mapping[str, Sequence[Row]]) -> list[str]:
    lines = []
    for name, other in COMPARED.items():
        if name in runs_of and other in runs_of:
            before, after = ({run.seed: run.score for run in runs_of[k]} for k in (other, name))
            words = paired_difference(before, after, digits=2)
            if words:
                lines += [f"{BY_NAME[name].title} less {BY_NAME[other].title}, {words}", ""]
    return lines
