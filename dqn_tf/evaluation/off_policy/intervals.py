"""95 % intervals of estimates, from resampled episodes.

Importance weights are skewed, and few of them are most of the sum. Two things follow.

Either of the two usual intervals is too short at one end. So each end is the farther one of the
percentile interval and of the studentised one (bootstrap-t; Efron and Tibshirani 1993, 12.5), which
measures each resampled mean in its own standard error.

And all resamples lack what the data lack: the heaviest episodes of all are in hardly any data set.
What was never seen has about the probability 1 / E (Good 1953, "The population frequencies of
species"). So each end is moved by as much as one more episode like the most extreme one would move
the mean. With many episodes that is nothing beside the rest.
"""

from collections.abc import Iterator

import numpy as np

from dqn_tf.evaluation.statistics import FEWEST_RESAMPLES, MANY, RESAMPLES

CHUNK = 2**20  # draws in memory at a time
TAILS = (2.5, 97.5)  # percent


def mean_intervals(by_episode: np.ndarray) -> np.ndarray:
    """Return the intervals [N, 2] of the means of N columns [E, N]; [v, v] for one episode.

    The resamples are always the same for the same E, and the same for all columns. Beyond MANY
    episodes there are fewer of them.
    """
    count = len(by_episode)
    mean = by_episode.mean(axis=0)
    if count == 1:
        return np.stack([mean, mean], axis=1)
    centred = by_episode - mean
    scale = np.abs(centred).max(axis=0)  # so that squares are numbers, whatever the weights are
    centred /= np.where(scale > 0.0, scale, 1.0)
    means, errors = _resampled(centred)
    own_error = np.sqrt((centred**2).sum(axis=0) / (count * (count - 1)))
    # a resample whose values are all the same has no standard error
    measured = np.where(errors > 1e-9, means / np.maximum(errors, 1e-9), 0.0)
    low, high = np.percentile(means, TAILS, axis=0)
    furthest_low, furthest_high = np.percentile(measured, TAILS, axis=0)
    low = np.minimum(low, -furthest_high * own_error) + centred.min(axis=0) / count
    high = np.maximum(high, -furthest_low * own_error) + centred.max(axis=0) / count
    return np.stack([mean + scale * low, mean + scale * high], axis=1)


def _resampled(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard errors [R, N] of resamples of centred columns [E, N]."""
    count, columns = centred.shape
    both = np.concatenate([centred, centred**2], axis=1)
    moments = np.concatenate([times @ both / count for times in _resamples(count)])
    mean, square = moments[:, :columns], moments[:, columns:]
    return mean, np.sqrt(np.maximum(square - mean**2, 0.0) / (count - 1))


def _resamples(count: int) -> Iterator[np.ndarray]:
    """Return how often each episode is drawn, in parts [R, E] of all resamples."""
    generator = np.random.default_rng(0)
    left = max(FEWEST_RESAMPLES, min(RESAMPLES, RESAMPLES * MANY // count))
    rows = max(1, CHUNK // count)
    while left > 0:
        rows = min(rows, left)
        drawn = generator.integers(0, count, (rows, count))
        drawn += np.arange(rows)[:, np.newaxis] * count
        times = np.bincount(drawn.ravel(), minlength=rows * count)
        yield times.reshape(rows, count).astype(np.float64)
        left -= rows
