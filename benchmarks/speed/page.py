"""docs/speed.md, written from the records alone: nothing on it is typed by hand."""

import os
from pathlib import Path

from benchmarks.scores.page import table
from benchmarks.speed import records, summary
from benchmarks.speed.records import Row, Solved
from benchmarks.speed.settings import AXES, SETTINGS
from benchmarks.speed.systems import BASE

OPENING = f"""# Speed

Written by `python -m benchmarks.speed --render_only` from the rows in `benchmarks/results/speed*.csv`; do not edit it.

Each run is a process of its own, one at a time. A round is one run of every system, and the rounds follow one another, so that whatever
else the machine does falls on all. Ratios are to {BASE} in the same round; only they say anything about another machine. Steps are
environment steps, learning included. Each system is called as its own documentation calls it. Peak memory is that of the process.
"""
COMMANDS = {
    **{name: f"python -m benchmarks.speed --setting={name}" for name in SETTINGS},
    "scaling": "python -m benchmarks.speed --scaling",
    "memory": "python -m benchmarks.speed --memory",
    "solve": "python -m benchmarks.speed --solve",
}


def render(results: Path, page: Path) -> str:
    """The page's text, for all records in `results`, as it is to stand in the file `page`.

    Each part shows its newest measurement.
    """
    speed, scaling, memory, solve = (records.read(results, name) for name in records.FILES)
    parts = [_setting(name, records.newest(speed, setting=name)) for name in SETTINGS]
    sweeps = {sweep: records.newest(scaling, setting=sweep) for sweep in AXES}
    parts += [
        _scaling({sweep: rows for sweep, rows in sweeps.items() if rows}, results, page),
        _memory(records.newest(memory)),
        _solve(records.newest(solve)),
    ]
    return "\n".join([OPENING, *("\n".join([*part, ""]) for part in parts)])


def picture(results: Path, sweep: str) -> Path:
    """Where a sweep is drawn."""
    return results / f"speed_scaling_{sweep}.png"


def _setting(name: str, rows: list[Row]) -> list[str]:
    lines = [f"## {name.capitalize()}", ""]
    if not rows:
        return [*lines, _not_yet(name)]
    work = min(rows, key=lambda row: row.num_envs).work
    return [
        *lines,
        f"{work}.",
        "",
        *table(summary.HEADER, summary.speed_lines(rows)),
        "",
        *_source(rows),
    ]


def _scaling(sweeps: dict[str, list[Row]], results: Path, page: Path) -> list[str]:
    lines = ["## As the work grows", ""]
    if not sweeps:
        return [*lines, _not_yet("scaling")]
    lines += [
        (
            "The anchor with one thing made larger; for the run's length, the last tenth of one"
            " long run against its first."
        ),
        "",
        *table(
            summary.GROWTH_HEADER,
            [
                line
                for sweep, rows in sweeps.items()
                for line in summary.growth_lines(AXES[sweep], rows)
            ],
        ),
        "",
    ]
    for sweep in sweeps:
        lines += [
            (
                "![Cost of an environment step by"
                f" {AXES[sweep]}]({Path(os.path.relpath(picture(results, sweep), page.parent)).as_posix()})"
            ),
            "",
        ]
    dates = dict.fromkeys(rows[0].date for rows in sweeps.values())
    for number, date in enumerate(dates):
        lines += [
            *[""] * (number > 0),
            *_source([row for rows in sweeps.values() for row in rows if row.date == date]),
        ]
    return lines


def _memory(rows: list[Row]) -> list[str]:
    lines = ["## Memory", ""]
    if not rows:
        return [*lines, _not_yet("memory")]
    text = (
        "The anchor with the replay full, and what it holds per transition; by how much the peak"
        " grows from the smallest capacity to a larger one is measured, not planned. Where a peer's"
        " versions say that TensorFlow was loaded besides, its memory holds that too."
    )
    return [
        *lines,
        text,
        "",
        *table(summary.MEMORY_HEADER, summary.memory_lines(rows)),
        "",
        *_source(rows),
    ]


def _solve(rows: list[Solved]) -> list[str]:
    lines = ["## Time to solve", ""]
    if not rows:
        return [*lines, _not_yet("solve")]
    one = rows[0]
    text = (
        f"`python train.py --env={one.env} --engine=ENGINE --seed=SEED`, from the start of the"
        f" process to its end, {one.env_steps:,} steps; solved is a mean return of at least"
        f" {one.threshold:g}, Gymnasium's own threshold, over {one.episodes} greedy episodes of the"
        " last weights. All parts are in seconds: compile is what the slowest block took beyond"
        " the median one, train the blocks without it, evaluate the evaluations during the run and"
        " the test after it, record metrics.csv and TensorBoard."
    )
    return [
        *lines,
        text,
        "",
        *table(summary.SOLVE_HEADER, summary.solve_lines(rows)),
        "",
        *_source(rows),
    ]


def _source(rows: list[Row] | list[Solved]) -> list[str]:
    """Command, machine, date, and each system's versions."""
    lines = [
        f"`{rows[0].command}` on {' and '.join(dict.fromkeys(row.machine for row in rows))},"
        f" {rows[0].date}."
    ]
    for system, versions in dict.fromkeys(
        (getattr(row, "system", "dqn_tf"), row.versions) for row in rows
    ):
        lines += ["", f"{system}: {versions}."]
    return lines


def _not_yet(name: str) -> str:
    return f"Not measured yet: `{COMMANDS[name]}`."
