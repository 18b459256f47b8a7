"""When an estimate means nothing, in a sentence, and what else is to be doubted about it."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.off_policy.steps import LoggedSteps
from dqn_tf.evaluation.off_policy.support import Support

FEWEST_EPISODES = 20
FEWEST_EFFECTIVE = 30.0  # episodes; below them, or `_fewest_effective`, an estimate means nothing
FEWEST_OF_MODEL = 5.0  # below them an estimate by fitted Q-values alone means nothing
FEW_EFFECTIVE = 100.0  # below them it is rough
MOST_UNTRIED = 0.01  # of the policy's choices
MOST_AFTER_CUTS = 0.01  # of a constant reward's sum; more is no matter of rounding
MOST_BEYOND = 1.1  # times the largest possible return: fitted values are not exact
ROUNDING = 1e-9  # of a weighted mean of ones
SUSPECT_RATIO = 0.02  # from 1, and beyond three standard errors


@dataclasses.dataclass(frozen=True)
class Doubt:
    """Why an estimate means nothing, or is to be read with care; both empty if neither is known."""

    void: tuple[str, ...] = ()
    care: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.void:
            return f"means nothing: {'; '.join(self.void)}"
        if self.care:
            return f"with care: {'; '.join(self.care)}"
        return "no doubt found"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of the data and of what was made of them.

    Attributes:
      steps: the logged steps.
      support: how far the behaviour does what the policy would do.
      has_propensities: whether the behaviour's probabilities were logged.
      largest_reward: the largest size of a reward.
      is_table: whether the model has an entry of its own for each observation.
      is_thinned: whether the model of Q-values sees only a part of each observation's numbers.
      unseen_cuts: the share of the cuts, by what comes after them, at observations in which the
        data never act; 0 where the model has no entry for each observation.
    """

    steps: LoggedSteps
    support: Support
    has_propensities: bool
    largest_reward: float
    is_table: bool
    is_thinned: bool
    unseen_cuts: float = 0.0


class Sample(NamedTuple):
    """What an estimate's importance weights are like.

    Attributes:
      mean: of the weights.
      low: the lower end of the mean's 95 % interval.
      high: the upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def has_mean_one(self) -> bool:
        """Whether the mean may be 1, but for rounding: of equal weights the interval is a point."""
        return self.low - ROUNDING <= 1.0 <= self.high + ROUNDING


def judge(
    facts: Facts,
    value: float,
    effective: float,
    sample: Sample | None,
    is_fitted: bool,
    of_model: float = math.inf,
) -> Doubt:
    """Judge an estimate.

    `effective` is its effective sample size, in episodes. `sample` describes its weights; None if
    it has none. `is_fitted` says that it rests on fitted Q-values, and `of_model` is the effective
    sample size of the estimate that rests on them alone.
    """
    void = _of_the_data(facts)
    care: list[str] = []
    if is_fitted and not _is_possible(value, facts):
        void.append("the fitted Q-values are larger than any return can be")
    share = _share_after(facts.steps.goes_on, facts.steps) if is_fitted else 0.0
    goes_beyond = share > MOST_AFTER_CUTS  # where logged rewards correct no Q-value
    if goes_beyond:
        void += _of_values_after_cuts(facts, share, math.inf if sample is None else of_model)
    if is_fitted and sample is None and not facts.is_table:
        care.append("as good as its linear model of Q, which only doubly robust can check")
    if is_fitted and facts.is_thinned:
        care.append("a linear model of observations with so many numbers is poor")
    fewest = FEWEST_OF_MODEL if sample is None else _fewest_effective(facts.steps.count)
    count = f"{facts.steps.count:,} episodes are worth {effective:.1f} of the policy's own"
    if effective < fewest:
        void.append(f"{count}, fewer than {fewest:.0f}")
    elif sample is not None and not sample.has_mean_one:
        void.append(
            f"the weights have the mean {sample.mean:.2f} [{sample.low:.2f}, {sample.high:.2f}]"
            " instead of 1, so the data lack what weighs most"
        )
    elif sample is not None and effective < FEW_EFFECTIVE:
        care.append(f"{count}, fewer than {FEW_EFFECTIVE:g}")
    if sample is not None and not facts.has_propensities:
        care.append("no propensities were logged, and a fitted behaviour stands for them")
    if goes_beyond and sample is not None and not facts.is_table:
        care.append(f"after cuts come {_part(share)}, and there fitted Q-values stand alone")
    care += _of_cuts(facts, is_fitted)
    return Doubt(tuple(void), tuple(care))


def _fewest_effective(episodes: int) -> float:
    """Return the effective sample size below which an interval of weighted episodes is too short.

    Few heavy weights make an effective sample size too large, as they are those that the data lack.
    Of E log-normal weights that are worth n, the mean has a skewness of about √((E / n)³ / E): an
    interval can be trusted where that is at most 1.
    """
    return max(FEWEST_EFFECTIVE, episodes ** (2.0 / 3.0))


def _of_the_data(facts: Facts) -> list[str]:
    """Return what makes every estimate from these data meaningless."""
    found = []
    count = facts.steps.count
    if count < FEWEST_EPISODES:
        found.append(
            f"{count} episode{'s are' if count > 1 else ' is'} too few, fewer than"
            f" {FEWEST_EPISODES}"
        )
    support = facts.support
    if support.untried > MOST_UNTRIED:
        found.append(
            f"{support.untried:.0%} of the policy's choices are actions that the behaviour never"
            " takes there"
        )
    excess = support.ratio - 1.0
    if facts.has_propensities and excess > max(SUSPECT_RATIO, 3.0 * support.ratio_error):
        found.append(
            "the propensities are not the behaviour's: the ratios of the two policies have the"
            f" mean {support.ratio:.2f} instead of 1"
        )
    return found


def _of_cuts(facts: Facts, is_fitted: bool) -> list[str]:
    """Return what episodes that were cut leave unknown."""
    steps = facts.steps
    cut = steps.goes_on if not is_fitted else ~steps.is_known[steps.last_rows]
    if _share_after(cut, steps) <= MOST_AFTER_CUTS:
        return []
    count = f"{cut.sum():,} of {steps.count:,} episodes were cut"
    if is_fitted:
        return [f"{count} and do not say what they saw last"]
    return [f"{count}, and only the rewards until then are counted"]


def _of_values_after_cuts(facts: Facts, share: float, of_model: float) -> list[str]:
    """Return what makes fitted Q-values meaningless after cuts, where `share` of the sum comes."""
    found = []
    if of_model < FEWEST_OF_MODEL:
        found.append(
            f"after cuts come {_part(share)}, and there fitted Q-values stand alone, which are"
            f" worth {of_model:.1f} of the policy's own episodes"
        )
    if facts.unseen_cuts > MOST_UNTRIED:
        found.append(f"{facts.unseen_cuts:.0%} of the cuts are where the data never act")
    return found


def _share_after(cut: np.ndarray, steps: LoggedSteps) -> float:
    """Return the share of a constant reward's sum, over all episodes, that comes after these cuts.

    `cut` [E] are the episodes. Without a discount a cut ends an episode.
    """
    if steps.gamma == 1.0:
        return 0.0
    after = steps.gamma ** steps.lengths.astype(float)
    return float(after[cut].sum() / np.where(steps.goes_on, 1.0, 1.0 - after).sum())


def _part(share: float) -> str:
    return f"{share:.0%} of a constant reward's sum"


def _is_possible(value: float, facts: Facts) -> bool:
    steps = facts.steps
    longest = float(steps.lengths.max())
    if steps.gamma < 1.0:
        # an episode may go on for ever
        longest = 1.0 / (1.0 - steps.gamma)
    return bool(np.isfinite(value)) and abs(value) <= MOST_BEYOND * longest * facts.largest_reward
