"""Writes the table of three tasks in a row in docs/language.md from the records."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.common.report import estimate
from benchmarks.continual import measures
from benchmarks.continual.experiments import BY_NAME, PAIRS, TASKS, Experiment, configure
from benchmarks.continual.records import FILE, Row
from dqn_tf.envs.applications.issue_beliefs import IssueBeliefs

BEGIN = "<!-- continual measured, generated -->\n"
END = "<!-- end of continual measured -->\n"
HEADER = (
    "return [95 %]",
    "forgetting",
    *(f"task {number} at the end" for number in range(1, len(TASKS) + 1)),
    "each right after its training",
    "forward transfer",
    "runs",
    "CPU s",
)
Measured = list[tuple[Experiment, list[Row]]]


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    runs_of = run_records.by_experiment(rows, BY_NAME, configure)
    measured = [(BY_NAME[name], runs) for name, runs in runs_of.items()]
    counted = [row for _, runs in measured for row in runs]
    if not counted:
        return "Not measured yet.\n"
    beliefs = IssueBeliefs(PAIRS)
    best, blind = (f"{value:.3f}" for value in (beliefs.optimum(), beliefs.at_random()))
    exact = [
        ("optimum", "0", *[best] * 4, "—", "exact", "—"),
        ("at random", "—", *[blind] * 4, "—", "exact", "—"),
    ]
    cells = [row for each, runs in measured for row in _rows(each, runs)]
    lines = [*tables.markdown(HEADER, [*cells, *exact]), ""]
    lines += [*_verdicts(measured), "", "The last task of each chain:", ""]
    lines += [f"- {each.title}: `{runs[-1].settings}`" for each, runs in measured]
    return "\n".join([*lines, "", f"Beside other work. {report.versions(counted)}", ""])


def _rows(experiment: Experiment, runs: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the cells of a method, and of its weights kept where it has such a row."""
    played = [(experiment.title, [run.returns for run in runs])]
    if experiment.kept:
        kept = [measures.with_weights_kept(run.returns) for run in runs]
        played.append((experiment.kept, kept))
    seconds = np.median([run.cpu_seconds for run in runs])
    cells = []
    for title, returns in played:
        columns = np.array([_measures(each) for each in returns]).T
        shown = [estimate(column).show(3) for column in columns]
        cells.append((title, *shown, str(len(runs)), f"{seconds:.0f}"))
    return cells


def _measures(returns: np.ndarray) -> list[float]:
    """Return the numbers of one chain in the order of the columns."""
    return [
        measures.forgetting(returns),
        *returns[-1].tolist(),
        measures.learned(returns),
        measures.forward_transfer(returns),
    ]


def _verdicts(measured: Measured) -> list[str]:
    """Say of each method that has an aim whether it forgets little enough."""
    by_name = {experiment.name: runs for experiment, runs in measured}
    lines = []
    for experiment, runs in measured:
        if experiment.aim is None or experiment.against not in by_name:
            continue
        share = _mean_forgetting(runs) / _mean_forgetting(by_name[experiment.against])
        done = "" if len(runs) == len(experiment.seeds) else f", so far {len(runs)} of 5 seeds"
        lines.append(
            f"- {experiment.title}{done}: forgetting at most {experiment.aim:g} of that without"
            f" {report.verdict(share <= experiment.aim)}, {share:.2f}."
        )
    return lines


def _mean_forgetting(runs: Sequence[Row]) -> float:
    return float(np.mean([run.forgetting for run in runs]))
