"""Writes the table of head, lora and all in docs/language.md: nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.fine_tuning.experiments import BY_NAME, Experiment, configure
from benchmarks.fine_tuning.records import FILE, Row

BEGIN = "<!-- fine-tuning measured, generated -->\n"
END = "<!-- end of fine-tuning measured -->\n"
HEADER = (
    "`--fine_tune`, return [95 %]",
    "training",
    "validation",
    "test",
    "runs",
    "dialogues of a score",
    "weights that learn",
    "updates",
    "CPU s an update with its steps",
    "CPU s of the run",
    "memory, MiB",
)


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    runs_of = run_records.by_experiment(rows, BY_NAME, configure)
    measured = [(BY_NAME[name], runs) for name, runs in runs_of.items()]
    used = [row for _, runs in measured for row in runs]
    if not used:
        return "Not measured yet.\n"
    lines = [*tables.markdown(HEADER, [_cells(each, runs) for each, runs in measured]), ""]
    lines += ["Flags of `train.py` where they are not those of the preset:", ""]
    for each, runs in measured:
        settings = runs[-1].settings.replace("\n", "\\n")
        lines.append(f"- {each.title}: `{settings}`")
    return "\n".join([*lines, "", f"Beside other work. {report.versions(used)}", ""])


def _cells(experiment: Experiment, runs: Sequence[Row]) -> tuple[str, ...]:
    splits = ("train", "validation", "test")
    scores = [report.estimate([getattr(run, split) for run in runs]).show(3) for split in splits]
    return (
        experiment.title,
        *scores,
        f"{len(runs)} of {len(experiment.seeds)}",
        str(runs[-1].episodes),
        f"{runs[-1].weights:,}",
        f"{runs[-1].updates:,}",
        f"{np.median([run.update_cpu_seconds for run in runs]):.3g}",
        f"{np.median([run.cpu_seconds for run in runs]):.0f}",
        f"{max(run.memory_mib for run in runs):,}",
    )
