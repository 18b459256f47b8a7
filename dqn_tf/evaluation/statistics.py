"""Statistics of episode returns: interquartile mean, bootstrap intervals, paired comparison."""

from collections.abc import Callable
from typing import Any

import numpy as np

from dqn_tf.support.digits import return_texts

RESAMPLES = 10_000
MANY = 5_000  # values; RESAMPLES of so many take a few seconds
FEWEST_RESAMPLES = 400
# Differing episodes that a verdict needs: with 5, all would fall one way by luck 6 % of the time
# (sign test).
FEWEST_DIFFERING = 6


def iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the interquartile mean along an axis.

    It is the mean without the lowest and the highest ⌊n/4⌋ values (Agarwal et al. 2021, computed
    as in rliable).
    """
    from scipy import stats  # takes over a second to import: not before a score is needed

    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> list[float]:
    """Return the 95 % percentile bootstrap interval [low, high] of a statistic.

    `values` [n] are independent; a single value v gives [v, v]. `statistic(resamples [R, n],
    axis=1)` gives [R]. The resamples are always the same for the same n. Beyond MANY values there
    are fewer of them, so that an interval takes a second or two.
    """
    from scipy import stats

    if len(values) == 1:
        return [float(values[0])] * 2
    if len(values) > MANY:
        return _bootstrap_many(values, statistic)
    interval = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 2**20 // len(values)),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return [float(interval.low), float(interval.high)]


def difference_interval(
    first: np.ndarray, second: np.ndarray, statistic: Callable[..., np.ndarray]
) -> list[float]:
    """Return the 95 % percentile bootstrap interval of statistic(first) - statistic(second).

    The values, [n] and [m], are independent of each other: each side is drawn anew by itself.
    """
    generator = np.random.default_rng(0)
    sides = []
    for values in (first, second):
        drawn = generator.integers(0, len(values), (RESAMPLES, len(values)))
        sides.append(statistic(values[drawn], axis=1))
    low, high = np.percentile(sides[0] - sides[1], [2.5, 97.5])
    return [float(low), float(high)]


def _bootstrap_many(values: np.ndarray, statistic: Callable[..., np.ndarray]) -> list[float]:
    """Return what `bootstrap` returns, by resamples that are made in order.

    How often each value is drawn is counted; a sorted resample is then written down, which no
    statistic needs to sort again.
    """
    generator = np.random.default_rng(0)
    ordered = np.sort(values)
    count = len(values)
    resamples = max(FEWEST_RESAMPLES, RESAMPLES * MANY // count)
    rows = max(1, 2**20 // count)  # resamples in memory at a time
    results: list[float] = []
    while len(results) < resamples:
        batch = np.empty((rows, count), ordered.dtype)
        for row in batch:
            drawn = generator.integers(0, count, count, dtype=np.int32)
            row[:] = np.repeat(ordered, np.bincount(drawn, minlength=count))
        results += statistic(batch, axis=1).tolist()
    low, high = np.percentile(results, [2.5, 97.5])
    return [float(low), float(high)]


def paired_comparison(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Compare the returns [n] of two models, A and B, that played the same episodes.

    Gives the mean difference B - A, its interval, B's wins, ties and losses, and a verdict in
    words. A verdict needs an interval without 0 and at least FEWEST_DIFFERING episodes that
    differ: with fewer, the bootstrap interval is too narrow.
    """
    difference = second - first
    low, high = bootstrap(difference, np.mean)
    mean = float(difference.mean())
    count = len(difference)
    differing = int((difference != 0).sum())
    enough = differing >= FEWEST_DIFFERING
    if enough and low > 0:
        verdict = "B is better by {} [{}, {}]".format(*return_texts(mean, low, high))
    elif enough and high < 0:
        verdict = "A is better by {} [{}, {}]".format(*return_texts(-mean, -high, -low))
    else:
        verdict = f"no difference shown by {count} episode{'s' * (count > 1)}"
    return {
        "mean_difference": mean,
        "ci95": [low, high],
        "wins": int((difference > 0).sum()),
        "ties": count - differing,
        "losses": int((difference < 0).sum()),
        "verdict": verdict,
    }
