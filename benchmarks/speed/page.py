"""Writes docs/speed.md from the records alone: nothing on it is typed by hand."""

import os
from pathlib import Path

from benchmarks.common import tables
from benchmarks.common.records import newest
from benchmarks.speed import records, summary
from benchmarks.speed.records import Row, Solved
from benchmarks.speed.settings import AXES, SETTINGS
from benchmarks.speed.systems import BASE

OPENING = f"""# Speed

Written by `python -m benchmarks.speed --render_only` from the rows in `benchmarks/results/speed`;
do not edit it.

Each run is a process of its own, one at a time. A round is one run of every system, and the
rounds follow one another, so that whatever else the machine does falls on all. Ratios are to
{BASE} in the same round; only they say anything about another machine. Steps are environment
steps, learning included. Each system is called as its own documentation calls it. Peak memory is
that of the process.
"""
SCALING = (
    "The anchor with one thing made larger; for the run's length, the last tenth of one long run"
    " against its first."
)
MEMORY = (
    "The anchor with the replay full, and what it holds per transition; by how much the peak grows"
    " from the smallest capacity to a larger one is measured, not planned. Where a peer's versions"
    " say that TensorFlow was loaded besides, its memory holds that too."
)
COMMANDS = {
    **{name: f"python -m benchmarks.speed --setting={name}" for name in SETTINGS},
    "scaling": "python -m benchmarks.speed --scaling",
    "memory": "python -m benchmarks.speed --memory",
    "solve": "python -m benchmarks.speed --solve",
}


def render(results: Path, page: Path) -> str:
    """Write the page's text from the records in `results`; its links are relative to `page`.

    Each part shows its newest measurement.
    """
    settings = records.read(results, "settings")
    scaling = records.read(results, "scaling")
    memory = records.read(results, "memory")
    solve = records.read(results, "solve")
    parts = [_setting(name, records.newest(settings, name)) for name in SETTINGS]
    sweeps = {sweep: records.newest(scaling, sweep) for sweep in AXES}
    parts += [
        _scaling({sweep: rows for sweep, rows in sweeps.items() if rows}, results, page),
        _memory(newest(memory)),
        _solve(newest(solve)),
    ]
    return "\n".join([OPENING, *("\n".join([*part, ""]) for part in parts)])


def picture(results: Path, sweep: str) -> Path:
    """Return the file of a sweep's picture."""
    return results / f"scaling_{sweep}.png"


def _setting(name: str, rows: list[Row]) -> list[str]:
    lines = [f"## {name.capitalize()}", ""]
    if not rows:
        return [*lines, _not_yet(name)]
    work = min(rows, key=lambda row: row.num_envs).work
    table = tables.markdown(summary.HEADER, summary.speed_lines(rows))
    return [*lines, f"{work}.", "", *table, "", *_source(rows)]


def _scaling(sweeps: dict[str, list[Row]], results: Path, page: Path) -> list[str]:
    lines = ["## As the work grows", ""]
    if not sweeps:
        return [*lines, _not_yet("scaling")]
    growth_lines = [
        line for sweep, rows in sweeps.items() for line in summary.growth_lines(AXES[sweep], rows)
    ]
    lines += [SCALING, "", *tables.markdown(summary.GROWTH_HEADER, growth_lines), ""]
    for sweep in sweeps:
        link = Path(os.path.relpath(picture(results, sweep), page.parent)).as_posix()
        lines += [f"![Cost of an environment step by {AXES[sweep]}]({link})", ""]
    rows_by_date: dict[str, list[Row]] = {}
    for rows in sweeps.values():
        for row in rows:
            rows_by_date.setdefault(row.date, []).append(row)
    for number, rows in enumerate(rows_by_date.values()):
        lines += [*[""] * (number > 0), *_source(rows)]
    return lines


def _memory(rows: list[Row]) -> list[str]:
    lines = ["## Memory", ""]
    if not rows:
        return [*lines, _not_yet("memory")]
    table = tables.markdown(summary.MEMORY_HEADER, summary.memory_lines(rows))
    return [*lines, MEMORY, "", *table, "", *_source(rows)]


def _solve(rows: list[Solved]) -> list[str]:
    lines = ["## Time to solve", ""]
    if not rows:
        return [*lines, _not_yet("solve")]
    row = rows[0]
    text = (
        f"`python train.py --env={row.env} --engine=ENGINE --seed=SEED`, from the start of the"
        f" process to its end, {row.env_steps:,} steps; solved is a mean return of at least"
        f" {row.threshold:g}, Gymnasium's own threshold, over {row.episodes} greedy episodes of the"
        " last weights. All parts are in seconds: compile is what the slowest block took beyond"
        " the median one, train the blocks without it, evaluate the evaluations during the run and"
        " the test after it, record metrics.csv and TensorBoard."
    )
    table = tables.markdown(summary.SOLVE_HEADER, summary.solve_lines(rows))
    return [*lines, text, "", *table, "", *_source(rows)]


def _source(rows: list[Row] | list[Solved]) -> list[str]:
    """Write command, machine, date, and each system's versions."""
    machines = " and ".join(dict.fromkeys(row.machine for row in rows))
    lines = [f"`{rows[0].command}` on {machines}, {rows[0].date}."]
    systems = dict.fromkeys((getattr(row, "system", "dqn_tf"), row.versions) for row in rows)
    for system, versions in systems:
        lines += ["", f"{system}: {versions}."]
    return lines


def _not_yet(name: str) -> str:
    return f"Not measured yet: `{COMMANDS[name]}`."
