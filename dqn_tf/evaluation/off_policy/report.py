"""What evaluate.py prints, and writes as JSON, about estimates from logged episodes."""

import math
from typing import Any

import dqn_tf
from dqn_tf.evaluation.model_entries import model_entries, model_title
from dqn_tf.evaluation.off_policy.estimate import Line, OffPolicyEvaluation
from dqn_tf.evaluation.off_policy.estimators import NAMES
from dqn_tf.evaluation.off_policy.plan import OffPolicyPlan

WIDTH = max(map(len, NAMES.values()))
HEADER = f"{'':{WIDTH}}     value   95 % interval           episodes' worth"


def to_record(plan: OffPolicyPlan, evaluation: OffPolicyEvaluation) -> dict[str, Any]:
    """Return everything, JSON-ready. A number that is none is null."""
    facts = evaluation.facts
    return {
        "env": plan.env,
        **model_entries(plan.version),
        "data": plan.flags.data,
        "data_sha256": plan.episodes.digest,
        "episodes": plan.episodes.count,
        "steps": len(plan.episodes),
        "gamma": plan.gamma,
        "epsilon": plan.epsilon,
        "propensities": "logged" if facts.has_propensities else "fitted",
        "untried": facts.support.untried,
        "behaviour": {
            "mean": evaluation.behaviour,
            "mean_ci95": list(evaluation.behaviour_interval),
        },
        "estimates": {line.estimator: _entries(line) for line in evaluation.lines},
        "dqn_tf": dqn_tf.__version__,
    }


def to_text(record: dict[str, Any], plan: OffPolicyPlan, evaluation: OffPolicyEvaluation) -> str:
    """Return the record as lines for a reader."""
    low, high = evaluation.behaviour_interval
    worth = float(record["episodes"])
    lines = [
        f"{record['env']}, {model_title(record)}",
        f"{_of_what(record)}: nothing was played",
        "",
        HEADER,
        _cells("the data themselves", evaluation.behaviour, low, high, worth),
    ]
    for line in evaluation.lines:
        cells = _cells(
            NAMES[line.estimator], line.value, line.low, line.high, line.effective_sample_size
        )
        lines.append(f"{cells}   {line.doubt}")
    lines += ["", _what_is_estimated(record)]
    return "\n".join(lines)


def _entries(line: Line) -> dict[str, Any]:
    return {
        "mean": _finite(line.value),
        "mean_ci95": [_finite(line.low), _finite(line.high)],
        "effective_sample_size": _finite(line.effective_sample_size),
        "means_something": not line.doubt.void,
        "verdict": str(line.doubt),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cells(name: str, value: float, low: float, high: float, worth: float) -> str:
    interval = f"{_number(low)} to {_number(high)}"
    return f"{name:{WIDTH}}  {_number(value):>8}   {interval:<22}  {worth:10,.1f}"


def _number(value: float) -> str:
    """Return two decimals, or a power of ten where that would be too long."""
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.1e}"


def _of_what(record: dict[str, Any]) -> str:
    count = record["episodes"]
    plural = "s" if count != 1 else ""
    return (
        f"{count:,} episode{plural}, {record['steps']:,} steps, of {' and '.join(record['data'])}"
    )


def _what_is_estimated(record: dict[str, Any]) -> str:
    policy = "the greedy policy"
    if record["epsilon"]:
        policy = f"the policy with {record['epsilon']:g} of its actions random"
    if record["gamma"] == 1.0:
        return f"Estimated is the return of an episode of {policy}, not discounted."
    return (
        f"Estimated is the return of {policy}, discounted by {record['gamma']:g} a step"
        " (--gamma=1: not discounted)."
    )
