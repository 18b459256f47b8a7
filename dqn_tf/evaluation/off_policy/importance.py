"""Importance sampling: logged rewards, weighted by how likely the evaluated policy made them.

Each estimate comes as one number for each episode, whose mean is the estimate. For the weighted
ones these are the estimate, linearised in the episodes, so that an interval of a mean serves all.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.off_policy.steps import LoggedSteps

# of the logarithm of a weight: the square of a larger one is no float64
LARGEST = 300.0
MOST_LEVERAGE = 0.9
LITTLE = 0.05  # of all that counts


@dataclasses.dataclass(frozen=True)
class Weights:
    """The importance weights of the steps, and their sums over the episodes.

    An episode that has ended keeps the weight that it ended with: nothing is chosen any more.

    Attributes:
      row: [M], the product of the ratios from the episode's first step to this one.
      end: [E], the product over the whole episode.
      total: [T], the sum over all episodes at each time.
      effective: [T], the effective sample size at each time (Kong 1992): (Σw)² / Σw².
      share: [T], how much each time counts, with the sum 1: its discount, and how many episodes are
        still running then.
    """

    row: np.ndarray
    end: np.ndarray
    total: np.ndarray
    effective: np.ndarray
    share: np.ndarray


class Estimate(NamedTuple):
    """An estimate.

    Attributes:
      by_episode: columns [E], each of numbers whose mean is the estimate; several if there are
        several models that it is the mean of.
      effective: its effective sample size, in episodes.
      weight: [E], each episode's weight in it; the mean is 1 but for chance. None without weights.
    """

    by_episode: list[np.ndarray]
    effective: float
    weight: np.ndarray | None = None

    @property
    def value(self) -> float:
        """The estimate."""
        return float(np.mean(self.by_episode))


def make_weights(ratio: np.ndarray, steps: LoggedSteps) -> Weights:
    """Return the weights for the ratios [M]: evaluated policy's probability over behaviour's."""
    row = _products(ratio, steps)
    end = row[steps.last_rows]
    running, total = _by_time(row, end, steps)
    _, squares = _by_time(row**2, end**2, steps)
    return Weights(row, end, total, _ratio(total**2, squares), _share(running, total, steps))


def ordinary(weights: Weights, steps: LoggedSteps) -> Estimate:
    """Return the mean of weight times return (importance sampling).

    Unbiased where the behaviour does all that the evaluated policy does.
    """
    returns = steps.sums(steps.discount * steps.reward)
    return Estimate([weights.end * returns], float(weights.effective[-1]), weights.end)


def weighted(weights: Weights, steps: LoggedSteps) -> Estimate:
    """Return the mean return, weighted (weighted importance sampling).

    Biased, consistent, and never beyond the logged returns.
    """
    returns = steps.sums(steps.discount * steps.reward)
    share = _ratio(weights.end, weights.end.mean())
    value = (share * returns).mean()
    deviation = share * (returns - value) / _others(weights.end, weights.end.sum())
    by_episode = value + deviation - deviation.mean()
    return Estimate([by_episode], float(weights.effective[-1]), weights.end)


def per_decision(
    weights: Weights,
    steps: LoggedSteps,
    term: np.ndarray | None = None,
    baseline: np.ndarray | float = 0.0,
) -> Estimate:
    """Return the sum of rewards, each weighted by the choices up to it (Precup et al. 2000).

    Instead of rewards it takes other terms [M], and a `baseline` [E] to add (doubly robust).
    """
    term = steps.reward if term is None else term
    by_episode = baseline + steps.sums(steps.discount * weights.row * term)
    return Estimate([by_episode], _effective(weights), _mean_weight(weights, steps))


def weighted_per_decision(
    weights: Weights,
    steps: LoggedSteps,
    term: np.ndarray | None = None,
    baseline: np.ndarray | float = 0.0,
) -> Estimate:
    """Return `per_decision`, with the weights of each time divided by their mean.

    At every time all episodes count, those that have ended with a term of 0 (Thomas 2015, 3.8).
    """
    term = steps.reward if term is None else term
    discount = steps.gamma ** np.arange(len(weights.total))  # [T]
    mean = weights.total / steps.count
    value = _ratio(steps.by_time(weights.row * term), weights.total)  # [T]
    centred = _ratio(weights.row, mean[steps.time]) * (term - value[steps.time])
    centred /= _others(weights.row, weights.total[steps.time])
    # what an ended episode's weight takes from all later means, summed from each time on
    taken = np.append(np.cumsum((discount * _ratio(value, mean))[::-1])[::-1], 0.0)
    later = weights.end * taken[steps.lengths] / _others(weights.end, weights.total[-1])
    deviation = baseline + steps.sums(steps.discount * centred) - later
    value = np.mean(baseline) + (discount * value).sum()
    by_episode = value + deviation - deviation.mean()
    return Estimate([by_episode], _effective(weights), _mean_weight(weights, steps))


def effective_sample_size(weight: np.ndarray) -> float:
    """Return (Σw)² / Σw² (Kong 1992): how many equal weights would say as much."""
    return float(_ratio(weight.sum() ** 2, (weight**2).sum()))


def _products(ratio: np.ndarray, steps: LoggedSteps) -> np.ndarray:
    """Return the product of the ratios [M] from each episode's first step to each row, [M]."""
    is_zero = ratio <= 0.0
    logarithm = np.log(np.where(is_zero, 1.0, ratio))
    zeros = _sums_so_far(is_zero.astype(np.int64), steps)
    product = np.exp(np.minimum(_sums_so_far(logarithm, steps), LARGEST))
    return np.where(zeros > 0, 0.0, product)


def _sums_so_far(column: np.ndarray, steps: LoggedSteps) -> np.ndarray:
    before = np.concatenate([[0], column.cumsum()])
    return before[1:] - before[steps.starts[steps.episode]]


def _by_time(row: np.ndarray, end: np.ndarray, steps: LoggedSteps) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of running episodes and of all, [T] each."""
    running = steps.by_time(row)
    ended = np.bincount(steps.lengths, end)[: len(running)].cumsum()
    return running, running + ended


def _share(running: np.ndarray, total: np.ndarray, steps: LoggedSteps) -> np.ndarray:
    """Return how much each time counts [T]: see `Weights`.

    How many episodes of the evaluated policy are running is estimated; where no weight is left, the
    behaviour's stand for them.
    """
    by_data = np.bincount(steps.time) / steps.count
    is_running = np.where(total > 0.0, _ratio(running, total), by_data)
    share = steps.gamma ** np.arange(len(total)) * is_running
    return share / share.sum()


def _effective(weights: Weights) -> float:
    """Return the effective sample size of a sum over steps.

    It is the smallest of all times but the last ones, which together count for LITTLE: an estimate
    is no better than its worst part.
    """
    so_far = np.cumsum(weights.share)
    counted = int(np.searchsorted(so_far, 1.0 - LITTLE)) + 1
    return float(weights.effective[:counted].min())


def _others(weight: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return the share of all weight that is not an episode's own, at least MOST_LEVERAGE from 0.

    Divided by it, a deviation is that of an estimate without the episode (jackknife): an episode
    that carries much of the weight has drawn the estimate towards itself.
    """
    return 1.0 - np.minimum(_ratio(weight, total), MOST_LEVERAGE)


def _mean_weight(weights: Weights, steps: LoggedSteps) -> np.ndarray:
    """Return the mean weight of each episode over the times, as much as each counts, [E]."""
    later = np.append(np.cumsum(weights.share[::-1])[::-1], 0.0)  # what counts from each time on
    running = steps.sums(weights.share[steps.time] * weights.row)
    return running + weights.end * later[steps.lengths]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, 0 where the denominator is 0: no weight, and nothing to say."""
    denominator = np.asarray(denominator)
    is_zero = denominator == 0
    return np.where(is_zero, 0.0, numerator / np.where(is_zero, 1.0, denominator))
