"""The statistics of rliable (Agarwal et al. 2021), for the runs of one environment.

Each resample draws whole runs, with replacement.
"""

from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.statistics import RESAMPLES, bootstrap, iqm


class Estimate(NamedTuple):
    """A number with its 95 % percentile bootstrap interval."""

    value: float
    low: float
    high: float

    def show(self, digits: int = 1) -> str:
        """Format as `value [low, high]`."""
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def interquartile_mean(scores: np.ndarray) -> Estimate:
    """Estimate the IQM of the runs' scores [n].

    One environment is one stratum, so the plain bootstrap is the stratified one.
    """
    return Estimate(float(iqm(scores)), *bootstrap(scores, iqm))


def probability_of_improvement(scores: np.ndarray, others: np.ndarray) -> Estimate:
    """Estimate P(a run of `scores` [n] beats one of `others` [m]), ties counted half.

    This is Mann-Whitney's U over n · m. Both are resampled.
    """
    generator = np.random.default_rng(0)
    wins = np.sign(scores[:, np.newaxis] - others) / 2 + 0.5  # [n, m]
    rows = generator.integers(len(scores), size=(RESAMPLES, len(scores), 1))
    columns = generator.integers(len(others), size=(RESAMPLES, 1, len(others)))
    low, high = np.percentile(wins[rows, columns].mean(axis=(1, 2)), (2.5, 97.5))
    return Estimate(float(wins.mean()), float(low), float(high))


def curve(returns: np.ndarray) -> np.ndarray:
    """Compute the IQM over runs and its interval at each point: returns [n, T] → [T, 3].

    All points share their resamples, as a run is one curve.
    """
    rows = np.random.default_rng(0).integers(len(returns), size=(RESAMPLES // 5, len(returns)))
    resampled = iqm(returns[rows], axis=1)  # [R, T]
    return np.stack([iqm(returns, axis=0), *np.percentile(resampled, (2.5, 97.5), axis=0)], axis=1)


def steps_to_threshold(steps: list[int | None]) -> float | None:
    """Compute the median over runs of the first evaluation at or above the threshold.

    None if half of the runs or more never reached it.
    """
    sorted_steps = sorted(float("inf") if step is None else step for step in steps)
    median = float(np.median(sorted_steps)) if sorted_steps else float("inf")
    return median if np.isfinite(median) else None
