"""What pages share that tell of runs: estimates, verdicts, versions, generated parts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scores.statistics import Estimate
from dqn_tf.evaluation.statistics import bootstrap
from dqn_tf.support.errors import UserError

RUNS = 10  # an aim is judged by no fewer


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean over the runs with its bootstrap interval."""
    array = np.array(values, np.float64)
    if np.ptp(array) == 0:
        return Estimate(*[float(array[0])] * 3)
    return Estimate(float(array.mean()), *bootstrap(array, np.mean))


def paired_difference(first: Mapping[int, float], second: Mapping[int, float], digits: int) -> str:
    """Say by how much the second runs are better, by seed; nothing if they share no two seeds."""
    seeds = sorted(first.keys() & second.keys())
    if len(seeds) < 2:
        return ""
    mean, low, high = estimate([second[seed] - first[seed] for seed in seeds])
    interval = f"[{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"seed by seed: {mean:+.{digits}f} {interval} over {len(seeds)} seeds."


def verdict(is_met: bool) -> str:
    """Return the word for it, in bold."""
    return "**met**" if is_met else "**missed**"


def judged(is_met: bool, runs: int) -> str:
    """Return the verdict, if there are enough runs to judge by."""
    return verdict(is_met) if runs >= RUNS else f"**not judged before {RUNS} runs**"


def versions(rows: Sequence[Any]) -> str:
    """Say on which machines, with which versions and when the runs of the rows were made."""
    machines = sorted({row.machine for row in rows})
    return f"One thread; {' and '.join(machines)}; {packages_and_days(rows)}"


def packages_and_days(rows: Sequence[Any]) -> str:
    """Say with which versions and when the runs of the rows were made."""
    parts = []
    for name in ("dqn_tf", "tensorflow", "gymnasium", "numpy", "python"):
        found = sorted({getattr(row, name) for row in rows})
        parts.append(f"{name} {' and '.join(found)}")
    dates = sorted({row.date for row in rows})
    return f"{', '.join(parts)}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}."


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put the text between two lines of a page. Raises UserError if they are not there."""
    old = page.read_text(encoding="utf-8") if page.exists() else begin + end
    before, found, rest = old.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise UserError(f"{page} has no lines {begin.strip()} and {end.strip()} to write between.")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
