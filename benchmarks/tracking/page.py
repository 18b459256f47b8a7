"""The generated part of docs/tracking.md: what it costs a training to be followed."""

from collections.abc import Sequence

from benchmarks.common.report import verdict, versions
from benchmarks.common.tables import markdown
from benchmarks.tracking.records import FOLLOWED, Row, cost

COSTS = ("<!-- costs: begin -->", "<!-- costs: end -->")
AIM = 0.98  # of the speed alone


def costs(rows: Sequence[Row]) -> str:
    """Return the table: a line for each tracker, number of cores, environment and length.

    Those that were followed count if they lasted twice as long as a follower waits at first.
    """
    counted = [row for row in rows if row.kind != FOLLOWED or row.is_long]
    works = sorted({row.work for row in counted if row.kind == FOLLOWED})
    lines = [_line([row for row in counted if row.work == work]) for work in works]
    if not lines:
        return "Nothing is recorded yet of runs that are long enough."
    header = ("tracker", "training", "cores", "pairs", "alone", "followed", "ratio", f"{AIM:g}")
    text = markdown(header, lines)
    text += [
        "",
        "Environment steps per second while a run collects, learns, records and saves: medians of"
        " the runs. *Ratio*: followed to alone, the median over pairs with its 95 % bootstrap"
        " interval; whether it reaches the last column's number. Both of a pair have the same seed."
        f" {versions(counted)}",
    ]
    return "\n".join(text)


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    to, cores, env, total_steps = rows[0].work
    result = cost(rows)
    return (
        to,
        f"{env}, {total_steps:,} steps",
        str(cores),
        str(result.pairs),
        f"{result.plain:,.0f}",
        f"{result.followed:,.0f}",
        f"{result.ratio:.3f} [{result.low:.3f}, {result.high:.3f}]",
        verdict(result.ratio >= AIM),
    )
