"""docs/results.md, written from the records alone: nothing on it is typed by hand."""

import os
from collections.abc import Iterable
from pathlib import Path

from benchmarks.scores import records
from benchmarks.scores.published import AIMS, PUBLISHED
from benchmarks.scores.records import Row
from benchmarks.scores.summary import HEADER, Summary, cells, estimate, summaries

RUNS = 10  # an aim is judged by no fewer

OPENING = """# Results

Written by `python -m benchmarks.scores --render_only` from the rows in `benchmarks/results`; do not edit it.

A run is one seed. Its score is the mean return of {episodes} greedy episodes on a separate environment, on seeds used nowhere
else, after the last update: the last weights, not the best ones. IQM is the interquartile mean of the runs' scores, with its 95 %
stratified bootstrap interval (Agarwal et al. 2021). "Best weights" are those that did best in the evaluations during the run, tested
in the same way. P(better than dqn) is the probability that a run of the variant scores above a run of plain DQN, ties counted half.
The threshold is Gymnasium's own; the steps to it are those of the first evaluation at or above. Seconds, CPU seconds and steps/s are
medians of collecting and learning, compilation included, one thread for each run while other runs shared the machine. `dqn` is
plain DQN of the environment's preset, `recommended` is what `train.py` runs, every other variant is plain DQN and that one change.
"""


def render(results: Path, page: Path) -> str:
    """The page's text, for all records in `results`, as it is to stand in the file `page`."""
    found = {}
    for file in records.files(results):
        rows = records.read(file)
        if rows:
            found[rows[0].env] = rows
    order = [*(env for env in AIMS if env in found), *(env for env in found if env not in AIMS)]
    return "\n".join(
        [OPENING.format(episodes=100), *(_section(env, found[env], results, page) for env in order)]
    )


def _section(env: str, rows: list[Row], results: Path, page: Path) -> str:
    own = summaries(env, rows, {})
    counted = [row for summary in own for row in summary.rows]
    lines = [f"## {env}", ""]
    if env in AIMS:
        lines += [*aim(env, own), ""]
    if env in PUBLISHED:
        lines += [
            "Published:",
            "",
            *table(("system", "score", "measured on", "source"), PUBLISHED[env]),
            "",
        ]
    if counted:
        seeds = max(len(summary.rows) for summary in own)
        command = (
            f"python -m benchmarks.scores --env={env} --seeds={seeds}"
            f" --variants={','.join(summary.variant for summary in own)}"
        )
        picture = os.path.relpath(records.path(results, env).with_suffix(".png"), page.parent)
        lines += [
            f"dqn_tf after {counted[0].total_steps:,} steps:",
            "",
            *table(HEADER, map(cells, own)),
            "",
            f"![Learning curves on {env}]({Path(picture).as_posix()})",
            "",
            f"`{command}`",
            "",
            _versions(counted),
        ]
    if outdated := len(rows) - len({(row.config_hash, row.seed) for row in counted}):
        lines += [
            "",
            f"{outdated} further rows are of other settings than today's and do not count.",
        ]
    return "\n".join([*lines, ""])


def aim(env: str, own: list[Summary]) -> list[str]:
    """Whether the environment's aim is met, one plain sentence for `recommended` and one for `dqn`,
    judged by RUNS runs or more.
    """
    wanted = AIMS[env]
    sentences = []
    for summary in sorted(own, key=lambda summary: summary.variant != "recommended"):
        if summary.variant not in ("recommended", "dqn"):
            continue
        right = summary.rows[0].total_steps <= wanted.total_steps
        met = "met" if right and summary.iqm.value >= wanted.iqm else "missed"
        if len(summary.rows) < RUNS:
            met = f"not judged before {RUNS} runs"
        after = "" if right else f", though only after {summary.rows[0].total_steps:,} steps"
        runs = f"{len(summary.rows)} run{'s' * (len(summary.rows) != 1)}"
        sentences.append(
            f"- `{summary.variant}`: **{met}**, {estimate(summary.iqm)} over {runs}{after}."
        )
    opening = f"Aim: an IQM of at least {wanted.iqm:g} after {wanted.total_steps:,} steps."
    return [opening, "", *sentences] if sentences else [opening + " Not measured yet."]


def _versions(rows: list[Row]) -> str:
    names = ("dqn_tf", "tensorflow", "gymnasium", "numpy", "python")
    versions = ", ".join(
        f"{name} {' and '.join(sorted({getattr(row, name) for row in rows}))}" for name in names
    )
    dates = sorted({row.date for row in rows})
    return f"{versions}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    header = list(header)
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]
