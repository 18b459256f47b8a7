"""Writes the part "New wordings, measured" of docs/language.md: nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.applications import yardsticks
from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.pretrained import experiments
from benchmarks.pretrained.experiments import (
    BY_NAME,
    EXPERIMENTS,
    TASKS,
    Experiment,
    Task,
    configure,
)
from benchmarks.pretrained.records import FILE, Row
from benchmarks.scores.statistics import Estimate
from dqn_tf.envs.applications import helpdesk
from dqn_tf.envs.applications.issue_beliefs import IssueBeliefs

BEGIN = "<!-- new wordings measured, generated -->\n"
END = "<!-- end of new wordings measured -->\n"
PAIRS = 4
Measured = dict[str, list[Row]]  # by the name of the experiment


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    measured = run_records.by_experiment(read(results / FILE, Row), BY_NAME, configure)
    if not measured:
        return "Not measured yet.\n"
    shown = [each for each in EXPERIMENTS if each.name in measured]
    lines = []
    for task in TASKS:
        lines += _table(task, [each for each in shown if each.task == task], measured)
    lines += _verdicts(measured)
    lines += ["Flags of `train.py` where they are not those of the preset:", ""]
    for each in shown:
        settings = measured[each.name][-1].settings.replace("\n", "\\n")
        lines.append(f"- {each.title}, {each.task.name}: `{settings}`")
    used = [row for runs in measured.values() for row in runs]
    return "\n".join([*lines, "", f"Beside other work. {report.versions(used)}", ""])


def _table(task: Task, chosen: Sequence[Experiment], measured: Measured) -> list[str]:
    if not chosen:
        return []
    title = f"{task.title}, return [95 %]"
    header = (title, "training", "validation", "test", "runs", "weights that learn", "CPU s")
    cells = [(each.title, *_cells(measured[each.name])) for each in chosen]
    for name, value in _exact(task).items():
        cells.append((name, *[f"{value:.3f}"] * 3, "exact", "—", "—"))
    return [*tables.markdown(header, cells), ""]


def _exact(task: Task) -> dict[str, float]:
    """Return the returns of those who know what each sentence means, by who they are."""
    if task.env != helpdesk.ENV_ID:
        return {each.title: each.mean for each in yardsticks.yardsticks()[task.env]}
    beliefs = IssueBeliefs(PAIRS)  # of the file of wordings
    return {
        "optimum": beliefs.optimum(),
        "best without asking": beliefs.optimum_without_asking(),
        "at random": beliefs.at_random(),
    }


def _cells(runs: Sequence[Row]) -> tuple[str, ...]:
    return (
        *(_of_split(runs, split).show(3) for split in ("train", "validation", "test")),
        str(len(runs)),
        f"{runs[-1].weights:,}",
        f"{np.median([run.cpu_seconds for run in runs]):.0f}",
    )


def _of_split(runs: Sequence[Row], split: str) -> Estimate:
    return report.estimate([getattr(run, split) for run in runs])


def _verdicts(measured: Measured) -> Iterator[str]:
    """Say for each aim whether it is met."""
    for each in EXPERIMENTS:
        runs = measured.get(each.name)
        if not each.has_aims or runs is None:
            continue
        count = len(each.seeds)
        so_far = f", so far {len(runs)} of {count} seeds" if len(runs) < count else ""
        test, train = _of_split(runs, "test"), _of_split(runs, "train")
        seconds = float(np.median([run.cpu_seconds for run in runs]))
        yield (
            f"{each.title}{so_far}: at least {experiments.LEAST_TEST:.2f} on test wordings"
            f" {report.verdict(test.value >= experiments.LEAST_TEST)}, {test.show(3)}; at least"
            f" {experiments.LEAST_TRAIN:.2f} on training wordings"
            f" {report.verdict(train.value >= experiments.LEAST_TRAIN)}, {train.show(3)}; within"
            f" {experiments.SECONDS} s {report.verdict(seconds <= experiments.SECONDS)},"
            f" {seconds:.0f} CPU s.\n"
        )
