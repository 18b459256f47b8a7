"""The runs of a measurement as numbers and as lines of tables.

Ratios are of runs of the same round.
"""

from statistics import median

from benchmarks.common.tables import Spread, spread
from benchmarks.speed.records import PARTS, Row, Solved
from benchmarks.speed.systems import BASE

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


def by_system(rows: list[Row]) -> dict[str, list[Row]]:
    """Group the rows by system, in the order in which they were run."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.system, []).append(row)
    return groups


def ratios(rows: list[Row], base: list[Row]) -> list[float]:
    """Divide environment steps per second by those of `base` in the same round.

    Rounds that only one of them has are left out.
    """
    base_speed = {row.round: row.env_steps_per_second for row in base}
    return [
        row.env_steps_per_second / base_speed[row.round] for row in rows if row.round in base_speed
    ]


def speed_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """Format one line under HEADER for each system of one measurement."""
    groups = by_system(rows)
    lines: list[tuple[str, ...]] = []
    for system, runs in groups.items():
        against_base = ratios(runs, groups.get(BASE, []))
        lines.append(
            (
                system,
                str(runs[0].num_envs),
                str(len(runs)),
                spread(row.env_steps_per_second for row in runs).show(),
                spread(against_base).show(2) if against_base else "—",
                f"{median(row.seconds for row in runs):,.1f}",
                f"{median(row.wall_seconds for row in runs):,.1f}",
                f"{median(row.peak_rss_mib for row in runs):,.0f}",
                runs[0].threads,
            )
        )
    return lines


def costs(rows: list[Row]) -> dict[int, Spread]:
    """Compute microseconds per environment step by the sweep's value, for one system of one sweep.

    For the sweep `length` it is by steps since the start.
    """
    by_value: dict[int, list[float]] = {}
    for row in rows:
        if row.setting == "length":
            points = row.points()
        else:
            assert row.value is not None
            points = [(row.value, 1e6 / row.env_steps_per_second)]
        for value, cost in points:
            by_value.setdefault(value, []).append(cost)
    return {value: spread(by_value[value]) for value in sorted(by_value)}


def growth_lines(sweep: str, rows: list[Row]) -> list[tuple[str, ...]]:
    """Format one line under GROWTH_HEADER for each system of one sweep.

    A factor is the last point over the first of the same round.
    """
    lines: list[tuple[str, ...]] = []
    for system, runs in by_system(rows).items():
        system_costs = costs(runs)
        first = min(system_costs)
        last = max(system_costs)
        factors = []
        for number in {row.round for row in runs}:
            round_costs = costs([row for row in runs if row.round == number])
            if first in round_costs and last in round_costs:
                factors.append(round_costs[last].median / round_costs[first].median)
        lines.append(
            (
                sweep,
                system,
                f"{first:,}",
                f"{last:,}",
                f"{system_costs[first].median:,.1f}",
                f"{system_costs[last].median:,.1f}",
                spread(factors).show(2) if factors else "—",
            )
        )
    return lines


def memory_lines(rows: list[Row]) -> list[tuple[str, ...]]:
    """Format one line under MEMORY_HEADER for each system and replay capacity.

    The growth is over the system's smallest capacity.
    """
    lines: list[tuple[str, ...]] = []
    for system, system_rows in by_system(rows).items():
        by_capacity: dict[int, list[Row]] = {}
        for row in system_rows:
            assert row.value is not None
            by_capacity.setdefault(row.value, []).append(row)
        smallest = min(by_capacity)
        smallest_peak = median(row.peak_rss_mib for row in by_capacity[smallest])
        for capacity, runs in by_capacity.items():
            peak = median(row.peak_rss_mib for row in runs)
            growth = "—"
            if capacity > smallest:
                growth = f"{(peak - smallest_peak) * 2**20 / (capacity - smallest):,.1f}"
            lines.append(
                (
                    system,
                    f"{capacity:,}",
                    f"{median(row.import_rss_mib for row in runs):,.0f}",
                    f"{peak:,.0f}",
                    f"{median(row.replay_bytes_per_transition for row in runs):,.1f}",
                    growth,
                )
            )
    return lines


def solve_lines(rows: list[Solved]) -> list[tuple[str, ...]]:
    """Format for each engine one line under SOLVE_HEADER a seed, and one of their medians."""
    columns = [f"{part}_seconds" for part in ("wall", *PARTS, "other")]
    lines: list[tuple[str, ...]] = []
    for engine in dict.fromkeys(row.engine for row in rows):
        runs = [row for row in rows if row.engine == engine]
        for row in runs:
            seconds = [_seconds([getattr(row, column)]) for column in columns]
            solved = "yes" if row.solved else "no"
            lines.append((engine, str(row.seed), f"{row.score:.1f}", solved, *seconds))
        score = median(row.score for row in runs)
        solved = f"{sum(row.solved for row in runs)} of {len(runs)}"
        seconds = [_seconds([getattr(row, column) for row in runs]) for column in columns]
        lines.append((engine, "median", f"{score:.1f}", solved, *seconds))
    return lines


def _seconds(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.1f}" if known else "—"
