"""docs/serving_speed.md, written from the records alone: nothing on it is typed by hand."""

import os
from pathlib import Path
from statistics import median

from benchmarks.scores.page import table
from benchmarks.serving import records
from benchmarks.serving.records import Reload, Row
from benchmarks.serving.rounds import FLOOR, Cell
from benchmarks.speed.summary import spread

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

Written by `python -m benchmarks.serving --render_only` from the rows in `benchmarks/results/serving*.csv`; do not edit it.

The clients are closed loops, each sends its next request when the answer to the last is there, all in one process apart from the server's. The
floor is `tf.saved_model.load(...).signatures["serving_default"]` called in a loop, tensors in and NumPy arrays out, on the server's core.
Every round measures every line once; the figures are medians over the rounds, and a ratio is of the same round. Only ratios say anything
about another machine. A client's own work, in Python, is part of each latency. Batching is `--enable_batching` with its default parameters.
"""


def render(results: Path, page: Path) -> str:
    """The page's text, for the newest records in `results`, as it is to stand in the file `page`."""
    rows, reloads = (records.read(results, name) for name in records.FILES)
    if not rows:
        return "\n".join([OPENING, "Not measured yet: `python -m benchmarks.serving`.", ""])
    where = Path(os.path.relpath(picture(results), page.parent)).as_posix()
    lines = [
        OPENING,
        f"![Latency and requests per second by clients]({where})",
        "",
        "## Floor",
        "",
        *table(FLOOR_HEADER, floor_lines(rows)),
        "",
    ]
    for batch in sorted({row.batch for row in rows}):
        lines += [
            f"## {batch} observation{'s' * (batch != 1)} a request",
            "",
            *table(HEADER, load_lines(rows, batch)),
            "",
        ]
    lines += ["## New versions under load", ""]
    if reloads:
        lines += [
            (
                "Each is renamed into place while the clients go on; the old one is deleted as soon"
                " as the new one is available."
            ),
            "",
            *table(RELOAD_HEADER, map(_reload_line, reloads)),
            "",
        ]
    else:
        lines += ["Not measured yet: `python -m benchmarks.serving`.", ""]
    return "\n".join([*lines, *_source(rows)])


def picture(results: Path) -> Path:
    """Where it is drawn."""
    return results / "serving.png"


def by_cell(rows: list[Row]) -> dict[Cell, list[Row]]:
    """The rounds of each cell, in the order in which they were run."""
    found: dict[Cell, list[Row]] = {}
    for row in rows:
        found.setdefault(row.cell, []).append(row)
    return found


def floor_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """One line for each batch of the floor."""
    return [
        (str(cell.batch), *_latencies(own), spread(row.requests_per_second for row in own).show())
        for cell, own in by_cell(rows).items()
        if cell.transport == FLOOR
    ]


def load_lines(rows: list[Row], batch: int) -> list[tuple[str, ...]]:
    """One line for each cell with that batch."""
    floors = {row.round: row for row in rows if row.transport == FLOOR and row.batch == batch}
    lines = []
    for cell, own in by_cell(rows).items():
        if cell.transport == FLOOR or cell.batch != batch:
            continue
        rate = spread(row.requests_per_second for row in own)
        against = [row.p50_ms / floors[row.round].p50_ms for row in own if row.round in floors]
        lines.append(
            (
                cell.transport,
                cell.batching,
                str(cell.clients),
                *_latencies(own),
                rate.show(),
                f"{rate.median * batch:,.0f}",
                f"{spread(against).median:.1f}" if against else "",
                str(sum(row.errors for row in own)),
            )
        )
    return lines


def _latencies(rows: list[Row]) -> tuple[str, str]:
    return f"{median(row.p50_ms for row in rows):.2f}", f"{median(row.p99_ms for row in rows):.2f}"


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
    one, rounds = rows[0], len({row.round for row in rows})
    return [
        (
            f"`{one.command}` on {one.machine}, {one.placed}, {rounds} round{'s' * (rounds != 1)},"
            f" {one.date}; model {one.model}; {one.versions}."
        ),
        "",
    ]
