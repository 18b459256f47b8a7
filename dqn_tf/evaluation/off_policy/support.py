"""Whether the behaviour does what the evaluated policy would do, where it has been."""

from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.off_policy.features import Features, Table
from dqn_tf.evaluation.off_policy.steps import LoggedSteps

RARE = 0.01  # a fitted probability that is taken for never


class Support(NamedTuple):
    """How the two policies meet.

    Attributes:
      untried: the share of the evaluated policy's choices, at the logged steps, that the behaviour
        never makes.
      ratio: the mean of the ratios of single steps. It is 1 - untried, but for chance, if the
        propensities are right.
      ratio_error: its standard error, over episodes.
    """

    untried: float
    ratio: float
    ratio_error: float


def measure_support(
    observation: np.ndarray,
    steps: LoggedSteps,
    pi: np.ndarray,
    ratio: np.ndarray,
    features: Features,
    fitted: np.ndarray | None,
) -> Support:
    """Measure it from the policy's probabilities `pi` [M, A] and the ratios [M].

    Of a table, steps are counted. Otherwise it is read off the behaviour's fitted probabilities
    [M, A], and without them off the ratios, whose mean lacks what is never tried.
    """
    mean = float(ratio.mean())
    deviations = steps.sums(ratio - mean)
    error = float(np.sqrt((deviations**2).sum()) / len(steps))
    if isinstance(features, Table):
        is_untried = features.counts(observation, steps.action, pi.shape[1]) == 0  # [K, A]
        untried = float((pi * is_untried[observation - features.start]).sum(axis=1).mean())
    elif fitted is not None:
        untried = float((pi * (fitted < RARE)).sum(axis=1).mean())
    else:
        untried = max(0.0, 1.0 - mean - 3.0 * error)
    return Support(untried, mean, error)
