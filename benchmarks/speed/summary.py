"""The runs of a measurement as numbers and as lines of tables.

Ratios are of runs of the same round.
"""

from collections.abc import Iterable
from statistics import median
from typing import NamedTuple

from benchmarks.speed.records import Row, Solved
from benchmarks.speed.systems import BASE
from benchmarks.speed.time_to_solve import PARTS

HEADER = (
    "system",
    "environments",
    "rounds",
    "env steps/s: median [lowest, highest]",
    f"against {BASE}: median [lowest, highest]",
    "seconds timed",
    "seconds of the process",
    "peak memory, MiB",
    "threads",
)
MEMORY_HEADER = (
    "system",
    "replay capacity",
    "memory with libraries loaded, MiB",
    "peak memory, MiB",
    "replay, bytes per transition",
    "peak grows by, bytes per transition",
)
GROWTH_HEADER = (
    "what grows",
    "system",
    "from",
    "to",
    "µs per env step at first",
    "at last",
    "factor: median [lowest, highest]",
)
SOLVE_HEADER = ("engine", "seed", "return", "solved", "whole process, s", *PARTS, "other")


class Spread(NamedTuple):
    """Median and range."""

    median: float
    low: float
    high: float

    def show(self, digits: int = 0) -> str:
        """`median [low, high]`."""
        return f"{self.median:,.{digits}f} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


def spread(values: Iterable[float]) -> Spread:
    """Of at least one number."""
    values = list(values)
    return Spread(median(values), min(values), max(values))


def by_system(rows: list[Row]) -> dict[str, list[Row]]:
    """In the order in which they were run."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.system, []).append(row)
    return found


def ratios(rows: list[Row], base: list[Row]) -> list[float]:
    """Environment steps per second over those of `base` in the same round, by round; rounds that
    only one of them has are left out.
    """
    other = {row.round: row.env_steps_per_second for row in base}
    return [row.env_steps_per_second / other[row.round] for row in rows if row.round in other]


def speed_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """One line under HEADER for each system of one measurement."""
    found = by_system(rows)
    lines = []
    for system, own in found.items():
        against = ratios(own, found.get(BASE, []))
        lines.append(
            (
                system,
                str(own[0].num_envs),
                str(len(own)),
                spread(row.env_steps_per_second for row in own).show(),
                spread(against).show(2) if against else "—",
                f"{median(row.seconds for row in own):,.1f}",
                f"{median(row.wall_seconds for row in own):,.1f}",
                f"{median(row.peak_rss_mib for row in own):,.0f}",
                own[0].threads,
            )
        )
    return lines


def costs(rows: list[Row]) -> dict[int, Spread]:
    """Microseconds per environment step by the sweep's value, for one system of one sweep; for
    `length`, by steps since the start.
    """
    points: dict[int, list[float]] = {}
    for row in rows:
        for value, cost in (
            row.points()
            if row.setting == "length"
            else [(row.value, 1e6 / row.env_steps_per_second)]
        ):
            points.setdefault(value, []).append(cost)
    return {value: spread(points[value]) for value in sorted(points)}


def growth_lines(sweep: str, rows: list[Row]) -> list[tuple[str, ...]]:
    """One line under GROWTH_HEADER for each system of one sweep:

    the last point against the first of the same round.
    """
    lines = []
    for system, own in by_system(rows).items():
        found = costs(own)
        first, last = min(found), max(found)
        rounds = {
            number: costs([row for row in own if row.round == number])
            for number in {row.round for row in own}
        }
        factors = [
            each[last].median / each[first].median
            for each in rounds.values()
            if first in each and last in each
        ]
        lines.append(
            (
                sweep,
                system,
                f"{first:,}",
                f"{last:,}",
                f"{found[first].median:,.1f}",
                f"{found[last].median:,.1f}",
                spread(factors).show(2) if factors else "—",
            )
        )
    return lines


def memory_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """One line under MEMORY_HEADER for each system and replay capacity; the growth is over the
    system's smallest capacity.
    """
    lines = []
    for system, own in by_system(rows).items():
        peaks = {
            row.value: median(each.peak_rss_mib for each in own if each.value == row.value)
            for row in own
        }
        for value, peak in peaks.items():
            least = min(peaks)
            grows = (
                "—" if value == least else f"{(peak - peaks[least]) * 2**20 / (value - least):,.1f}"
            )
            lines.append(
                (
                    system,
                    f"{value:,}",
                    f"{median(row.import_rss_mib for row in own if row.value == value):,.0f}",
                    f"{peak:,.0f}",
                    (
                        f"{median(row.replay_bytes_per_transition for row in own if row.value == value):,.1f}"
                    ),
                    grows,
                )
            )
    return lines


def solve_lines(rows: list[Solved]) -> list[tuple[str, ...]]:
    """For each engine, one line under SOLVE_HEADER for each seed, and one of their medians."""
    names = [f"{part}_seconds" for part in ("wall", *PARTS, "other")]
    lines = []
    for engine in dict.fromkeys(row.engine for row in rows):
        own = [row for row in rows if row.engine == engine]
        lines += [
            (
                engine,
                str(row.seed),
                f"{row.score:.1f}",
                "yes" if row.solved else "no",
                *(_seconds([getattr(row, name)]) for name in names),
            )
            for row in own
        ]
        lines.append(
            (
                engine,
                "median",
                f"{median(row.score for row in own):.1f}",
                f"{sum(row.solved for row in own)} of {len(own)}",
                *(_seconds([getattr(row, name) for row in own]) for name in names),
            )
        )
    return lines


def _seconds(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.1f}" if known else "—"
