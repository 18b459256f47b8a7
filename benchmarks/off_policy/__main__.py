"""How often off-policy intervals cover the true value on CartPole.

    python train.py --env=CartPole-v1 --total_steps=8000 --seed=1 --export_dir=medium
    python -m benchmarks.off_policy --model=medium

The true value is the mean discounted return of 100,000 episodes that are played. It is estimated
again and again from episodes of the same agent with more random actions.
"""

import dataclasses
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks.common import records
from benchmarks.common.flags import RESULTS, make_results_dir
from benchmarks.common.tables import markdown
from benchmarks.off_policy import cart_pole
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.evaluation.off_policy.estimate import evaluate_off_policy
from dqn_tf.evaluation.off_policy.estimators import NAMES
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.errors import UserError

TRUE_EPISODES = 100_000
AT_A_TIME = 10_000
TRUE_SEED = 10**6
GAMMA_OF_TRAINING = 0.99


class Case(NamedTuple):
    """The probability of a random action of the evaluated policy and of the behaviour."""

    epsilon: float
    behaviour_epsilon: float
    has_propensities: bool


CASES = (Case(0.1, 0.15, True), Case(0.0, 0.3, True), Case(0.1, 0.15, False))


class Row(NamedTuple):
    """One estimate from one data set, and the true value."""

    date: str
    epsilon: float
    behaviour_epsilon: float
    propensities: str
    episodes: int
    repetition: int
    estimator: str
    true_value: float
    value: float
    low: float
    high: float
    effective_sample_size: float
    verdict: str

    @property
    def is_covered(self) -> bool:
        """Whether the interval holds the true value."""
        return self.low <= self.true_value <= self.high

    @property
    def is_void(self) -> bool:
        """Whether the verdict says that the number means nothing."""
        return self.verdict.startswith("means nothing")


class OffPolicyFlags(NamedTuple):
    """What to evaluate, how often, and where the rows are kept."""

    model: str | None
    repetitions: int
    episodes: int
    results_dir: Path
    render_only: bool


def parse(argv: Sequence[str]) -> OffPolicyFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    parsed = OffPolicyFlags(
        values.model,
        values.repetitions,
        values.episodes,
        Path(values.results_dir),
        values.render_only,
    )
    if not parsed.model and not parsed.render_only:
        raise UserError("--model is missing: name an export of an agent for CartPole-v1.")
    return parsed


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    command_line.define_path("model", None, "an export of an agent for CartPole-v1", values)
    flags.DEFINE_integer("repetitions", 100, "data sets for each case", flag_values=values)
    flags.DEFINE_integer("episodes", 300, "episodes of a data set", flag_values=values)
    flags.DEFINE_bool(
        "render_only", False, "run nothing; print the tables of the last rows", flag_values=values
    )
    command_line.define_path(
        "results_dir", os.path.relpath(RESULTS / "off_policy"), "where the rows lie", values
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = "Counts how often the intervals of off-policy estimates cover the true value."
    return command_line.help_page(
        [f"{command} --model=DIRECTORY"], text, {"": command_line.entries(values)}
    )


def main(options: OffPolicyFlags) -> None:
    """Run all cases, or none, and print the tables."""
    make_results_dir(options.results_dir)
    file = options.results_dir / "cart_pole.csv"
    if not options.render_only:
        tensorflow_loading.load_tensorflow(command_line.verbose())
        from dqn_tf.evaluation.exported_policy import load_policy

        policy = load_policy(str(options.model))
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        for case in CASES:
            _measure(case, policy, options, date, file)
    for line in render(records.newest(records.read(file, Row))):
        print(line)


def _measure(
    case: Case, policy: ActFunction, options: OffPolicyFlags, date: str, file: Path
) -> None:
    """Estimate from as many data sets as are asked for, and keep each estimate."""
    true_value = _true_value(policy, case.epsilon)
    for repetition in range(options.repetitions):
        data = cart_pole.log(policy, case.behaviour_epsilon, options.episodes, repetition)
        if not case.has_propensities:
            data = dataclasses.replace(data, propensity=None)
        spaces = policy.spaces  # type: ignore[attr-defined]
        found = evaluate_off_policy(policy, data, spaces, GAMMA_OF_TRAINING, case.epsilon)
        for line in found.lines:
            row = Row(
                date,
                case.epsilon,
                case.behaviour_epsilon,
                "logged" if case.has_propensities else "fitted",
                options.episodes,
                repetition,
                line.estimator,
                round(true_value, 4),
                round(line.value, 4),
                round(line.low, 4),
                round(line.high, 4),
                round(line.effective_sample_size, 2),
                str(line.doubt),
            )
            records.append(file, row)


def _true_value(policy: ActFunction, epsilon: float) -> float:
    """Return the mean discounted return of many episodes, which no time limit cuts."""
    means = [
        cart_pole.discounted_returns(policy, epsilon, GAMMA_OF_TRAINING, AT_A_TIME, seed).mean()
        for seed in range(TRUE_SEED, TRUE_SEED + TRUE_EPISODES // AT_A_TIME)
    ]
    return float(np.mean(means))


def render(rows: Sequence[Row]) -> list[str]:
    """Return a table for each case, in Markdown."""
    header = ("estimator", "covered", "means nothing", "covered of the rest", "median", "width")
    lines = []
    cases = dict.fromkeys((row.epsilon, row.behaviour_epsilon, row.propensities) for row in rows)
    for case in cases:
        of_case = [row for row in rows if row[1:4] == case]
        epsilon, behaviour_epsilon, propensities = case
        lines += [
            "",
            f"Epsilon {epsilon:g} from {of_case[0].episodes} episodes of epsilon"
            f" {behaviour_epsilon:g}, propensities {propensities}; true value"
            f" {of_case[0].true_value:.2f}:",
            "",
            *markdown(header, [_cells(of_case, name) for name in NAMES]),
        ]
    return lines


def _cells(rows: Sequence[Row], name: str) -> list[str]:
    own = [row for row in rows if row.estimator == name]
    rest = [row for row in own if not row.is_void]
    covered_of_rest = f"{sum(row.is_covered for row in rest)} of {len(rest)}" if rest else "-"
    return [
        NAMES[name],
        f"{sum(row.is_covered for row in own)} of {len(own)}",
        f"{len(own) - len(rest)}",
        covered_of_rest,
        _number(np.median([row.value for row in own])),
        _number(np.median([row.high - row.low for row in own])),
    ]


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.0e}"


if __name__ == "__main__":
    command_line.run(main, parse)
