"""The seven estimators, from weights and fitted Q-values."""

from collections.abc import Sequence

from dqn_tf.evaluation.off_policy import importance
from dqn_tf.evaluation.off_policy.fitted_q import Fit
from dqn_tf.evaluation.off_policy.importance import Estimate, Weights, effective_sample_size
from dqn_tf.evaluation.off_policy.steps import LoggedSteps

NAMES = {
    "is": "importance sampling",
    "wis": "weighted",
    "pdis": "per decision",
    "wpdis": "weighted per decision",
    "fqe": "fitted Q",
    "dr": "doubly robust",
    "wdr": "weighted doubly robust",
}
BY_MODEL = ("fqe", "dr", "wdr")


def by_importance(weights: Weights, steps: LoggedSteps) -> dict[str, Estimate]:
    """Return the estimates that need no model, by name."""
    return {
        "is": importance.ordinary(weights, steps),
        "wis": importance.weighted(weights, steps),
        "pdis": importance.per_decision(weights, steps),
        "wpdis": importance.weighted_per_decision(weights, steps),
    }


def by_model(
    weights: Weights, steps: LoggedSteps, fit: Fit, others: Sequence[Fit] = ()
) -> dict[str, Estimate]:
    """Return the estimates that rest on fitted Q-values, by name.

    Fitted Q evaluation is the mean of the fit and of `others` with other features.

    Doubly robust (Jiang and Li 2016) is V(s_0) + Σ γ^t w_t (r_t + γ V(s_t+1) - Q(s_t, a_t)), for
    each episode with the Q-values of the others: it has no bias from Q if the propensities are
    right. Weighted (Thomas and Brunskill 2016), the weights of each time are divided by their mean.
    """
    error = steps.reward + steps.gamma * fit.crossed_next - fit.crossed_q
    # what comes after is not known: there the value stands for all further rewards
    error *= steps.is_known
    share = fit.weight.sum() and effective_sample_size(fit.weight) / len(steps)
    return {
        "fqe": Estimate(
            [each.value.mean() + each.influence for each in (fit, *others)],
            float(share * steps.count),
        ),
        "dr": importance.per_decision(weights, steps, error, fit.crossed_value),
        "wdr": importance.weighted_per_decision(weights, steps, error, fit.crossed_value),
    }
