"""Writes the table of steered replies in docs/language.md: nothing is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import report, run_records, tables
from benchmarks.common.records import read
from benchmarks.steering import experiments
from benchmarks.steering.experiments import EXPERIMENT, WAYS, Way
from benchmarks.steering.records import FILE, Row

BEGIN = "<!-- steering measured, generated -->\n"
END = "<!-- end of steering measured -->\n"
HEADER = (
    "replies to new complaints",
    "reward [95 %]",
    "held-out judge [95 %]",
    "KL a reply, nats",
    "perplexity",
    "tokens a reply",
    "learning is paid after",
    "reward, complaints learned from",
    "runs",
)


def render(results: Path) -> str:
    """Write the section between the markers from all records in `results`."""
    rows = read(results / FILE, Row)
    measured = [(way, runs) for way in WAYS if (runs := current(way, rows))]
    used = [row for _, runs in measured for row in runs]
    if not used:
        return "Not measured yet.\n"
    lines = [*tables.markdown(HEADER, [_cells(way, runs) for way, runs in measured]), ""]
    one = used[-1]
    lines += [
        f"Learning wrote {one.learning_replies:,} replies, the model reading"
        f" {one.learning_tokens:,} tokens, with {one.updates:,} updates:"
        f" {np.median([row.learning_cpu_seconds for row in used]):.0f} CPU s, with the scores"
        f" {np.median([row.cpu_seconds for row in used]):.0f}. Best of n reads n times as much for"
        " each reply; after so many served replies it has read as much as learning did.",
        "",
        "A reply to the first new complaint, by the first seed:",
        "",
    ]
    lines += [
        f"- {way.title}: {min(runs, key=_seed).example or '(empty)'}" for way, runs in measured
    ]
    lines += ["", f"Settings of the DQN and the plan: `{one.settings}`", ""]
    return "\n".join([*lines, f"Beside other work. {report.versions(used)}", ""])


def current(way: Way, rows: Sequence[Row]) -> list[Row]:
    """Select a way's runs of today's settings; of a seed done twice, the later."""
    config = experiments.configure(EXPERIMENT, 0, {})
    return run_records.current(rows, way.name, config, EXPERIMENT.seeds)


def _seed(row: Row) -> int:
    return row.seed


def _cells(way: Way, runs: Sequence[Row]) -> tuple[str, ...]:
    def mean(name: str) -> float:
        return float(np.mean([getattr(run, name) for run in runs]))

    paid = "—"
    if way.best_of > 1:
        paid = f"{mean('learning_replies') / (way.best_of - 1):,.0f} replies"
    return (
        way.title,
        report.estimate([run.new_reward for run in runs]).show(3),
        report.estimate([run.new_held_out for run in runs]).show(3),
        f"{mean('new_kl'):.2f}" if way.best_of == 1 else f"at most {mean('new_kl'):.2f}",
        f"{mean('new_perplexity'):.1f}",
        f"{mean('tokens'):.0f}",
        paid,
        f"{mean('seen_reward'):.3f}",
        f"{len(runs)} of {len(EXPERIMENT.seeds)}",
    )
