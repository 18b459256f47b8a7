"""Writes docs/serving_speed.md from the records alone: nothing on it is typed by hand."""

import os
from pathlib import Path
from statistics import median

from benchmarks.common import tables
from benchmarks.common.tables import spread
from benchmarks.serving import records
from benchmarks.serving.records import Reload, Row
from benchmarks.serving.rounds import FLOOR, Cell

HEADER = (
    "transport",
    "batching",
    "clients",
    "p50, ms",
    "p99, ms",
    "requests/s: median [lowest, highest]",
    "observations/s",
    "p50 against in process",
    "errors",
)
FLOOR_HEADER = ("batch", "p50, ms", "p99, ms", "calls/s: median [lowest, highest]")
RELOAD_HEADER = (
    "transport",
    "batching",
    "clients",
    "new versions",
    "requests",
    "errors",
    "p50, ms",
    "p99, ms",
    "rename to available, s: median",
    "longest",
    "memory after the first, MiB",
    "after the last",
)
OPENING = """# Speed of serving

Written by `python -m benchmarks.serving --render_only` from the rows in
`benchmarks/results/serving`; do not edit it.

The clients are closed loops, each sends its next request when the answer to the last is there,
all in one process apart from the server's. The floor is
`tf.saved_model.load(...).signatures["serving_default"]` called in a loop, tensors in and NumPy
arrays out, on the server's core. Every round measures every line once; the figures are medians
over the rounds, and a ratio is of the same round. Only ratios say anything about another machine.
A client's own work, in Python, is part of each latency. Batching is `--enable_batching` with its
default parameters.
"""


NOT_YET = "Not measured yet: `python -m benchmarks.serving`."
RELOADS = (
    "Each is renamed into place while the clients go on; the old one is deleted as soon as the new"
    " one is available."
)


def render(results: Path, page: Path) -> str:
    """Write the page's text from the newest records in `results`; its links suit `page`."""
    rows = records.read(results, "load")
    reloads = records.read(results, "reloads")
    if not rows:
        return "\n".join([OPENING, NOT_YET, ""])
    link = Path(os.path.relpath(picture(results), page.parent)).as_posix()
    lines = [
        OPENING,
        f"![Latency and requests per second by clients]({link})",
        "",
        "## Floor",
        "",
        *tables.markdown(FLOOR_HEADER, floor_lines(rows)),
        "",
    ]
    for batch in sorted({row.batch for row in rows}):
        lines += [
            f"## {batch} observation{'s' * (batch != 1)} a request",
            "",
            *tables.markdown(HEADER, load_lines(rows, batch)),
            "",
        ]
    lines += ["## New versions under load", ""]
    if reloads:
        table = tables.markdown(RELOAD_HEADER, map(_reload_line, reloads))
        lines += [RELOADS, "", *table, ""]
    else:
        lines += [NOT_YET, ""]
    return "\n".join([*lines, *_source(rows)])


def picture(results: Path) -> Path:
    """Return the file of the picture."""
    return results / "load.png"


def by_cell(rows: list[Row]) -> dict[Cell, list[Row]]:
    """Group the rounds by cell, in the order in which they were run."""
    groups: dict[Cell, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.cell, []).append(row)
    return groups


def floor_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """Format one line under FLOOR_HEADER for each batch of the floor."""
    lines: list[tuple[str, ...]] = []
    for cell, rounds in by_cell(rows).items():
        if cell.transport == FLOOR:
            rate = spread(row.requests_per_second for row in rounds)
            lines.append((str(cell.batch), *_latencies(rounds), rate.show()))
    return lines


def load_lines(rows: list[Row], batch: int) -> list[tuple[str, ...]]:
    """Format one line under HEADER for each cell with that batch."""
    floors = {row.round: row for row in rows if row.transport == FLOOR and row.batch == batch}
    lines: list[tuple[str, ...]] = []
    for cell, rounds in by_cell(rows).items():
        if cell.transport == FLOOR or cell.batch != batch:
            continue
        rate = spread(row.requests_per_second for row in rounds)
        ratios = [row.p50_ms / floors[row.round].p50_ms for row in rounds if row.round in floors]
        lines.append(
            (
                cell.transport,
                cell.batching,
                str(cell.clients),
                *_latencies(rounds),
                rate.show(),
                f"{rate.median * batch:,.0f}",
                f"{median(ratios):.1f}" if ratios else "",
                str(sum(row.errors for row in rounds)),
            )
        )
    return lines


def _latencies(rows: list[Row]) -> tuple[str, str]:
    p50_ms = median(row.p50_ms for row in rows)
    p99_ms = median(row.p99_ms for row in rows)
    return f"{p50_ms:.2f}", f"{p99_ms:.2f}"


def _reload_line(row: Reload) -> tuple[str, ...]:
    return (
        row.transport,
        row.batching,
        str(row.clients),
        str(row.reloads),
        f"{row.requests:,}",
        str(row.errors),
        f"{row.p50_ms:.2f}",
        f"{row.p99_ms:.2f}",
        f"{row.swap_p50_seconds:.2f}",
        f"{row.swap_max_seconds:.2f}",
        f"{row.rss_first_mib:,.0f}",
        f"{row.rss_last_mib:,.0f}",
    )


def _source(rows: list[Row]) -> list[str]:
    """Write command, machine, date and versions."""
    row = rows[0]
    rounds = len({row.round for row in rows})
    return [
        f"`{row.command}` on {row.machine}, {row.placed}, {rounds} round{'s' * (rounds != 1)},"
        f" {row.date}; model {row.model}; {row.versions}.",
        "",
    ]
