"""All estimates of one policy from logged episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.evaluation.off_policy.behaviour import fit_behaviour
from dqn_tf.evaluation.off_policy.doubt import Doubt, Facts, Sample, judge
from dqn_tf.evaluation.off_policy.estimators import BY_MODEL, by_importance, by_model
from dqn_tf.evaluation.off_policy.features import make_features
from dqn_tf.evaluation.off_policy.fitted_q import fit_q
from dqn_tf.evaluation.off_policy.importance import Estimate, make_weights
from dqn_tf.evaluation.off_policy.intervals import mean_intervals
from dqn_tf.evaluation.off_policy.steps import LoggedSteps, make_steps
from dqn_tf.evaluation.off_policy.support import measure_support
from dqn_tf.evaluation.off_policy.target import TargetProbabilities, target_probabilities
from dqn_tf.experience.logged.episodes import LoggedEpisodes

LEAST_PROPENSITY = 1e-12  # of a fitted behaviour


class Line(NamedTuple):
    """What one estimator says: its value, a 95 % interval, and what is to be doubted."""

    estimator: str  # a key of NAMES
    value: float
    low: float
    high: float
    effective_sample_size: float  # in episodes
    doubt: Doubt


@dataclasses.dataclass(frozen=True)
class OffPolicyEvaluation:
    """The estimates of a policy's value from logged episodes.

    Attributes:
      lines: one for each estimator.
      behaviour: the mean return of the logged episodes themselves, with the same discount.
      behaviour_interval: its 95 % interval.
      facts: what the estimates were judged by.
    """

    lines: list[Line]
    behaviour: float
    behaviour_interval: tuple[float, float]
    facts: Facts

    def __getitem__(self, estimator: str) -> Line:
        """Return the line of an estimator, a key of NAMES."""
        return next(line for line in self.lines if line.estimator == estimator)


def evaluate_off_policy(
    policy: ActFunction,
    episodes: LoggedEpisodes,
    spaces: Spaces,
    gamma: float,
    epsilon: float,
    check: Callable[[], None] = lambda: None,
) -> OffPolicyEvaluation:
    """Estimate the value of `policy` with `epsilon` random actions. It plays nothing."""
    target = target_probabilities(policy, episodes, spaces, epsilon, check)
    return estimate(episodes, target, spaces, gamma, check)


def estimate(
    episodes: LoggedEpisodes,
    target: TargetProbabilities,
    spaces: Spaces,
    gamma: float,
    check: Callable[[], None] = lambda: None,
) -> OffPolicyEvaluation:
    """Estimate the value of the policy with these probabilities: see `OffPolicyEvaluation`."""
    steps = make_steps(episodes, gamma)
    features, *others = make_features(episodes.observation, spaces)
    behaviour = None  # [M, A]
    propensity = episodes.propensity
    if propensity is None:
        behaviour = fit_behaviour(episodes, steps, [features, *others][-1], spaces.actions)
        # an observation like no other has propensities that are 0 in floating point
        propensity = np.maximum(_of_the_taken(behaviour, steps), LEAST_PROPENSITY)
    check()
    ratio = _of_the_taken(target.row, steps) / propensity
    facts = Facts(
        steps,
        measure_support(episodes.observation, steps, target.row, ratio, features, behaviour),
        behaviour is None,
        float(np.abs(steps.reward).max()),
        features.is_table,
        features.is_thinned,
        _unseen_cuts(episodes, steps) if features.is_table else 0.0,
    )
    weights = make_weights(ratio, steps)
    fits = [fit_q(episodes, steps, target, each, check) for each in (features, *others)]
    estimates = by_importance(weights, steps) | by_model(weights, steps, fits[0], fits[1:])
    returns = steps.sums(steps.discount * steps.reward)
    lines, own = _lines(estimates, returns, facts)
    return OffPolicyEvaluation(lines, float(returns.mean()), own, facts)


def _lines(
    estimates: dict[str, Estimate], returns: np.ndarray, facts: Facts
) -> tuple[list[Line], tuple[float, float]]:
    """Return a line for each estimate, and the interval of the logged returns' own mean."""
    columns = [returns]
    for each in estimates.values():
        columns += each.by_episode
        if each.weight is not None:
            columns.append(each.weight)
    own, *others = mean_intervals(np.stack(columns, axis=1)).tolist()
    intervals = iter(others)
    lines = []
    of_model = estimates["fqe"].effective
    for name, each in estimates.items():
        low, high = zip(*(next(intervals) for _ in each.by_episode), strict=True)
        sample = None
        if each.weight is not None:
            sample = Sample(float(each.weight.mean()), *next(intervals))
        doubt = judge(facts, each.value, each.effective, sample, name in BY_MODEL, of_model)
        lines.append(Line(name, each.value, min(low), max(high), each.effective, doubt))
    return lines, tuple(own)


def _unseen_cuts(episodes: LoggedEpisodes, steps: LoggedSteps) -> float:
    """Return the share of the cuts, by the discount, at observations in which no row acts."""
    cut = steps.goes_on & episodes.has_final
    after = steps.gamma ** steps.lengths[cut].astype(float)
    is_seen = np.isin(episodes.final_observation[cut], episodes.observation)
    return float(after[~is_seen].sum() / max(after.sum(), np.finfo(float).tiny))


def _of_the_taken(probability: np.ndarray, steps: LoggedSteps) -> np.ndarray:
    """Return the probability of the action that each row took, [M, A] → [M]."""
    return probability[np.arange(len(steps)), steps.action]
