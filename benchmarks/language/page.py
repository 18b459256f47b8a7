"""Writes the part "Measured" of docs/language.md from the records: nothing is typed by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate
from benchmarks.language.experiments import BY_NAME, EXPERIMENTS, Experiment, configure
from benchmarks.language.records import FILE, Row
from benchmarks.language.yardsticks import Yardstick, yardsticks
from benchmarks.scores.statistics import Estimate

BEGIN = "<!-- measured, generated -->\n"
END = "<!-- end of measured -->\n"
Measured = list[tuple[Experiment, list[Row]]]
HEADER = ("", "return [95 %]", "success [95 %]", "runs", "steps", "updates", "CPU s", "s")


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    runs_of = run_records.by_experiment(rows, BY_NAME, configure)
    exact = yardsticks()
    sections = []
    counted = 0
    for env in dict.fromkeys(experiment.env for experiment in EXPERIMENTS):
        measured = [
            (BY_NAME[name], runs) for name, runs in runs_of.items() if BY_NAME[name].env == env
        ]
        counted += sum(len(runs) for _, runs in measured)
        if measured:
            sections.append(_section(env, measured, exact.get(env, [])))
    if not sections:
        return "Not measured yet.\n"
    outdated = len(rows) - counted
    if outdated:
        sections.append(f"{outdated} further rows are of other settings and do not count.\n")
    return "\n".join(sections)


def _section(env: str, measured: Measured, exact: Sequence[Yardstick]) -> str:
    lines = [f"### {env}", ""]
    cells = [*_run_cells(measured), *map(_exact_cells, exact)]
    lines += [*tables.markdown(HEADER, cells), ""]
    verdicts = list(_verdicts(measured))
    if verdicts:
        lines += ["Aims, of the mean of the seeds and of the median of the CPU seconds:", ""]
        lines += [*verdicts, ""]
    lines += ["Flags of `train.py` where they are not those of the preset:", ""]
    lines += [f"- {experiment.title}: `{runs[-1].settings}`" for experiment, runs in measured]
    runs = [row for _, rows in measured for row in rows]
    return "\n".join([*lines, "", report.versions(runs), ""])


def _run_cells(measured: Measured) -> Iterator[tuple[str, ...]]:
    for experiment, runs in measured:
        yield (
            experiment.title,
            estimate([run.score for run in runs]).show(2),
            _show_shares(estimate([run.success for run in runs])),
            str(len(runs)),
            f"{runs[-1].env_steps:,}",
            f"{runs[-1].updates:,}",
            f"{np.median([run.cpu_seconds for run in runs]):.0f}",
            f"{np.median([run.seconds for run in runs]):.0f}",
        )


def _exact_cells(yardstick: Yardstick) -> tuple[str, ...]:
    score = f"{yardstick.score:.2f}" if abs(yardstick.score) >= 0.01 else f"{yardstick.score:.2g}"
    share = yardstick.success
    shown = f"{share:.1%}" if share >= 0.001 or share == 0 else f"{share:.2g}"
    return (yardstick.title, score, shown, *["exact"], *["—"] * 4)


def _verdicts(measured: Measured) -> Iterator[str]:
    """Say for each aim whether it is met."""
    for experiment, runs in measured:
        aim = experiment.aim
        if aim is None:
            continue
        is_return = aim.measure == "return"
        mean = estimate([run.score if is_return else run.success for run in runs])
        seconds = float(np.median([run.cpu_seconds for run in runs]))
        least = f"{aim.least:.1f}" if is_return else f"{aim.least:.0%}"
        shown = mean.show(2) if is_return else _show_shares(mean)
        count = len(experiment.seeds)
        so_far = f", so far {len(runs)} of {count} seeds" if len(runs) < count else ""
        is_good, is_quick = mean.value >= aim.least, seconds <= aim.seconds
        yield (
            f"- {experiment.title}{so_far}: {aim.measure} of at least {least}"
            f" {report.verdict(is_good)}, {shown};"
            f" within {aim.seconds} s {report.verdict(is_quick)}, {seconds:.0f}."
        )


def _show_shares(share: Estimate) -> str:
    return f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
