"""The runs of one environment, variant by variant, as numbers and as lines of a table."""

from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import tables
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
    """One variant's runs and their estimates."""

    variant: str
    rows: list[Row]
    iqm: Estimate
    iqm_best: Estimate
    improvement: Estimate | None  # over plain DQN; None if it has no runs, or for itself


def summaries(env: str, rows: list[Row], overrides: dict[str, Any]) -> list[Summary]:
    """Summarize each variant, in the order of VARIANTS.

    Only runs whose configuration is what their variant means today count, one for each seed.
    """
    rows_by_variant: dict[str, list[Row]] = {}
    for variant in variants.VARIANTS:
        current = variants.config_hash(variants.configure(env, variant, 0, overrides))
        by_seed = {row.seed: row for row in rows if row.config_hash == current}
        if by_seed:
            rows_by_variant[variant] = [by_seed[seed] for seed in sorted(by_seed)]
    plain = _scores(rows_by_variant.get("dqn", []))
    return [
        _summary(variant, variant_rows, plain) for variant, variant_rows in rows_by_variant.items()
    ]


def _summary(variant: str, rows: list[Row], plain: np.ndarray) -> Summary:
    scores = _scores(rows)
    scores_best = np.array([row.score_best for row in rows])
    improvement = None
    if len(plain) and variant != "dqn":
        improvement = statistics.probability_of_improvement(scores, plain)
    return Summary(
        variant,
        rows,
        statistics.interquartile_mean(scores),
        statistics.interquartile_mean(scores_best),
        improvement,
    )


def _scores(rows: list[Row]) -> np.ndarray:
    return np.array([row.score for row in rows])


def cells(summary: Summary) -> tuple[str, ...]:
    """Format one line of the table under HEADER."""
    rows = summary.rows
    scores = _scores(rows)
    return (
        summary.variant,
        str(len(rows)),
        summary.iqm.show(),
        f"{scores.min():.1f}, {scores.max():.1f}",
        summary.iqm_best.show(),
        "—" if summary.improvement is None else summary.improvement.show(2),
        _steps_cell(rows),
        f"{np.median([row.cpu_seconds for row in rows]):,.0f}",
        f"{np.median([row.seconds for row in rows]):,.0f}",
        f"{np.median([row.env_steps_per_second for row in rows]):,.0f}",
    )


def _steps_cell(rows: list[Row]) -> str:
    """Format the median of the steps to the threshold, and how many runs reached it."""
    if rows[0].threshold is None:
        return "—"
    steps = [row.steps_to_threshold for row in rows]
    median = statistics.steps_to_threshold(steps)
    reached = len(steps) - steps.count(None)
    return f"{'—' if median is None else f'{median:,.0f}'} ({reached} of {len(rows)})"


def text(env_summaries: list[Summary]) -> str:
    """Format the table for a terminal."""
    return tables.aligned([HEADER, *map(cells, env_summaries)])
