"""What rliable (Agarwal et al.

2021) computes, for the runs of one environment: each resample draws whole runs, with replacement.
"""

from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.statistics import RESAMPLES, bootstrap, iqm


class Estimate(NamedTuple):
    """A number with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float


def interquartile_mean(scores: np.ndarray) -> Estimate:
    """IQM of the runs' scores [n].

    One environment is one stratum, so that the plain bootstrap is the stratified one.
    """
    return Estimate(float(iqm(scores)), *bootstrap(scores, iqm))


def probability_of_improvement(scores: np.ndarray, others: np.ndarray) -> Estimate:
    """P(a run of `scores` [n] beats one of `others` [m]), ties half:

    Mann-Whitney's U over n · m. Both are resampled.
    """
    generator = np.random.default_rng(0)
    wins = np.sign(scores[:, np.newaxis] - others) / 2 + 0.5  # [n, m]
    rows = generator.integers(len(scores), size=(RESAMPLES, len(scores), 1))
    columns = generator.integers(len(others), size=(RESAMPLES, 1, len(others)))
    low, high = np.percentile(wins[rows, columns].mean(axis=(1, 2)), (2.5, 97.5))
    return Estimate(float(wins.mean()), float(low), float(high))


def curve(returns: np.ndarray) -> np.ndarray:
    """IQM over runs and its interval at each point:

    returns [n, T] → [T, 3]. All points share their resamples, as a run is one curve.
    """
    rows = np.random.default_rng(0).integers(len(returns), size=(RESAMPLES // 5, len(returns)))
    resampled = iqm(returns[rows], axis=1)  # [R, T]
    return np.stack([iqm(returns, axis=0), *np.percentile(resampled, (2.5, 97.5), axis=0)], axis=1)


def steps_to_threshold(steps: list[int | None]) -> float | None:
    """Median over runs of the first evaluation at or above the threshold; None if half of the runs
    or more never reached it.
    """
    reached = sorted(float("inf") if step is None else step for step in steps)
    median = float(np.median(reached)) if reached else float("inf")
    return median if np.isfinite(median) else None
