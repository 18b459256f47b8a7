"""The runs of one environment, variant by variant, as numbers and as lines of a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.scores import statistics, variants
from benchmarks.scores.records import Row
from benchmarks.scores.statistics import Estimate

HEADER = (
    "variant",
    "runs",
    "IQM [95 %]",
    "lowest, highest run",
    "IQM of best weights [95 %]",
    "P(better than dqn) [95 %]",
    "steps to threshold, median (reached)",
    "CPU seconds",
    "seconds",
    "steps/s",
)


class Summary(NamedTuple):
    """One variant's runs and what they give."""

    variant: str
    rows: list[Row]
    iqm: Estimate
    iqm_best: Estimate
    improvement: Estimate | None  # over plain DQN; None if it has no runs, or for itself


def summaries(env: str, rows: list[Row], overrides: dict[str, Any]) -> list[Summary]:
    """Of the runs whose configuration is what their variant means now, by seed, in the order of
    VARIANTS; others do not count.
    """
    found: dict[str, list[Row]] = {}
    for variant in variants.VARIANTS:
        wanted = variants.config_hash(variants.configure(env, variant, 0, overrides))
        by_seed = {row.seed: row for row in rows if row.config_hash == wanted}
        if by_seed:
            found[variant] = [by_seed[seed] for seed in sorted(by_seed)]
    plain = _scores(found.get("dqn", []))
    return [
        Summary(
            variant,
            own,
            statistics.interquartile_mean(_scores(own)),
            statistics.interquartile_mean(np.array([row.score_best for row in own])),
            (
                statistics.probability_of_improvement(_scores(own), plain)
                if len(plain) and variant != "dqn"
                else None
            ),
        )
        for variant, own in found.items()
    ]


def _scores(rows: list[Row]) -> np.ndarray:
    return np.array([row.score for row in rows])


def cells(summary: Summary) -> tuple[str, ...]:
    """One line of the table under HEADER."""
    rows, scores = summary.rows, _scores(summary.rows)
    reached = [row.steps_to_threshold for row in rows]
    median, count = (
        statistics.steps_to_threshold(reached),
        sum(step is not None for step in reached),
    )
    steps = (
        "—"
        if rows[0].threshold is None
        else f"{'—' if median is None else f'{median:,.0f}'} ({count} of {len(rows)})"
    )
    middle = {
        name: float(np.median([getattr(row, name) for row in rows]))
        for name in ("cpu_seconds", "seconds", "env_steps_per_second")
    }
    return (
        summary.variant,
        str(len(rows)),
        estimate(summary.iqm),
        f"{scores.min():.1f}, {scores.max():.1f}",
        estimate(summary.iqm_best),
        "—" if summary.improvement is None else estimate(summary.improvement, 2),
        steps,
        f"{middle['cpu_seconds']:,.0f}",
        f"{middle['seconds']:,.0f}",
        f"{middle['env_steps_per_second']:,.0f}",
    )


def estimate(value: Estimate, digits: int = 1) -> str:
    """`value [low, high]`."""
    return f"{value.value:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]"


def text(found: list[Summary]) -> str:
    """The table for a terminal."""
    return aligned([HEADER, *map(cells, found)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Cells under each other."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
