"""Writes the part "The applications, measured" of docs/language.md: nothing is typed by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.applications import experiments
from benchmarks.applications.experiments import (
    BY_NAME,
    EXPERIMENTS,
    Q_VALUES,
    SPLITS,
    Experiment,
    configure,
)
from benchmarks.applications.records import FILE, Row
from benchmarks.applications.yardsticks import Yardstick, yardsticks
from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate

BEGIN = "<!-- applications measured, generated -->\n"
END = "<!-- end of applications measured -->\n"
HEADER = ("", *(f"{split} wordings" for split in SPLITS), "runs", "steps", "updates", "CPU s")
Measured = list[tuple[Experiment, list[Row]]]


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    runs_of = run_records.by_experiment(rows, BY_NAME, configure)
    exact = yardsticks()
    sections, counted = [], []
    for env in dict.fromkeys(experiment.env for experiment in EXPERIMENTS):
        measured = [
            (BY_NAME[name], runs) for name, runs in runs_of.items() if BY_NAME[name].env == env
        ]
        counted += [row for _, runs in measured for row in runs]
        if measured:
            sections.append(_section(env, measured, exact[env]))
    if not sections:
        return "Not measured yet.\n"
    outdated = len(rows) - len(counted)
    if outdated:
        sections.append(f"{outdated} further rows are of other settings and do not count.\n")
    return "\n".join([*sections, f"Beside other work. {report.versions(counted)}\n"])


def _section(env: str, measured: Measured, exact: Sequence[Yardstick]) -> str:
    lines = [f"### {env}, measured", ""]
    cells = [*map(_run_cells, measured), *map(_exact_cells, exact)]
    lines += [*tables.markdown(HEADER, cells), "", *_verdicts(measured), ""]
    for experiment, runs in measured:
        if experiment.learns == Q_VALUES:
            lines.append(f"- {experiment.title}: `python train.py {runs[-1].settings}`")
    return "\n".join([*lines, ""])


def _run_cells(measured: tuple[Experiment, list[Row]]) -> tuple[str, ...]:
    experiment, runs = measured
    return (
        experiment.title,
        *(_show_split(runs, split) for split in SPLITS),
        str(len(runs)),
        f"{runs[-1].env_steps:,}",
        f"{runs[-1].updates:,}",
        f"{np.median([run.cpu_seconds for run in runs]):.0f}",
    )


def _show_split(runs: Sequence[Row], split: str) -> str:
    shown = estimate([getattr(run, split) for run in runs]).show(3)
    success = _success(runs, split)
    return shown if success is None else f"{shown}, {success:.1%} of quests"


def _success(runs: Sequence[Row], split: str) -> float | None:
    shares = [getattr(run, f"{split}_success") for run in runs]
    return None if None in shares else float(np.mean(shares))


def _exact_cells(yardstick: Yardstick) -> tuple[str, ...]:
    shown = f"{yardstick.mean:.3f}"
    if yardstick.success is not None:
        shown += f", {yardstick.success:.1%} of quests"
    return (yardstick.title, *[shown] * len(SPLITS), "exact", *["—"] * 3)


def _verdicts(measured: Measured) -> Iterator[str]:
    """Say for each aim whether it is met, on training wordings."""
    for experiment, runs in measured:
        aim = experiment.aim
        if aim is None:
            continue
        count = len(experiment.seeds)
        so_far = f", so far {len(runs)} of {count} seeds" if len(runs) < count else ""
        reached, least, shown = _reached(experiment, runs)
        seconds = float(np.median([run.cpu_seconds for run in runs]))
        yield (
            f"{experiment.title}{so_far}: {aim.measure} of at least {least} on training wordings"
            f" {report.verdict(reached >= aim.least)}, {shown}; within {experiments.SECONDS} s"
            f" {report.verdict(seconds <= experiments.SECONDS)}, {seconds:.0f} CPU s.\n"
        )


def _reached(experiment: Experiment, runs: Sequence[Row]) -> tuple[float, str, str]:
    """Return what the runs reached, what they should, and what they reached, in words."""
    assert experiment.aim is not None
    if experiment.aim.measure == "success":
        shares = [run.train_success or 0.0 for run in runs]
        mean = float(np.mean(shares))
        return mean, f"{experiment.aim.least:.1%}", f"{mean:.1%}, the least {min(shares):.1%}"
    found = estimate([run.train for run in runs])
    return found.value, f"{experiment.aim.least:.2f}", found.show(3)
