"""Compares loss and gradient of dqn_tf with those of TF-Agents, on the same weights and steps.

    TF_USE_LEGACY_KERAS=1 python -m benchmarks.parity

Prints a table; exit status 1 if any relative difference is above TOLERANCE. It compares what each
library's own training step hands its optimizer. Online and target networks differ. Among the rows
are terminations, truncations and TD errors on both sides of Huber's bend. dqn_tf's batch comes out
of its own n-step accumulator, TF-Agents' out of a Trajectory of the same steps.
"""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from benchmarks.parity.experience import SEED, made_up_steps
from dqn_tf import interop
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support import command_line, tensorflow_loading

TOLERANCE = 1e-5
SETTINGS: dict[str, Any] = {
    "seed": SEED,
    "hidden_units": (32, 16),
    "gamma": 0.97,
    "tau": 0.0,
    "max_gradient_norm": 0.0,
}


class Case(NamedTuple):
    """One of TF-Agents' agents, and the settings that make dqn_tf the same algorithm."""

    agent: str
    settings: dict[str, Any]
    masked: bool = False

    def __str__(self) -> str:
        words = [self.agent]
        for name, value in self.settings.items():
            if name not in ("double", "distribution"):
                words.append(f"{name}={value}")
        if self.masked:
            words.append("masked")
        return ", ".join(words)


CASES = [
    Case(agent, {"double": agent == "DdqnAgent", "loss": loss, "n_step": n_step}, masked)
    for agent in ("DqnAgent", "DdqnAgent")
    for loss, n_step, masked in (
        ("huber", 1, False),
        ("mse", 1, False),
        ("huber", 3, False),
        ("mse", 3, False),
        ("huber", 1, True),
    )
]
CASES += [
    Case("CategoricalDqnAgent", {"distribution": "c51", "n_step": n_step}) for n_step in (1, 3)
]


class Comparison(NamedTuple):
    """Both losses, and the largest relative differences.

    A gradient's difference is relative to its largest number.
    """

    our_loss: float
    their_loss: float
    loss_difference: float
    gradient_difference: float


def compare(case: Case) -> Comparison:
    """Put the same question to both libraries. Raises UserError where TF-Agents cannot run."""
    interop.load_tf_agents()
    from benchmarks.parity import answers

    config = DQNConfig(**SETTINGS | case.settings)
    spaces = Spaces((5,), "float32", 4, masked=case.masked)
    steps = made_up_steps(config.n_step, spaces)
    ours, weights = answers.dqn_tf_answer(config, spaces, steps)
    theirs = answers.tf_agents_answer(case.agent, config, spaces, steps, weights)
    gradient_differences = [
        np.abs(our_gradient - gradient).max() / np.abs(gradient).max()
        for our_gradient, gradient in zip(ours.gradients, theirs.gradients, strict=True)
    ]
    return Comparison(
        ours.loss,
        theirs.loss,
        abs(ours.loss - theirs.loss) / abs(theirs.loss),
        float(max(gradient_differences)),
    )


def parse(argv: Sequence[str]) -> None:
    """Read `--help` and `--verbose`, the only flags. Raises UserError on others."""
    command_line.parse(argv, lambda values: None, _help_page)


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = (__doc__ or "").replace("TF_USE_LEGACY_KERAS=1 python -m benchmarks.parity\n", "")
    usage = [f"TF_USE_LEGACY_KERAS=1 {command}"]
    return command_line.help_page(usage, text, {"": command_line.entries(values)})


def main(_: None) -> None:
    """Print the table."""
    tensorflow_loading.load_tensorflow()
    interop.load_tf_agents()
    width = max(len(str(case)) for case in CASES)
    print(
        f"{'agent':{width}}  {'loss here':>10}  {'loss there':>10}  {'difference':>10}"
        f"  {'of gradients':>12}"
    )
    worst = 0.0
    for case in CASES:
        comparison = compare(case)
        worst = max(worst, comparison.loss_difference, comparison.gradient_difference)
        print(
            f"{case!s:{width}}  {comparison.our_loss:10.6f}  {comparison.their_loss:10.6f}"
            f"  {comparison.loss_difference:10.1e}  {comparison.gradient_difference:12.1e}"
        )
    print(f"Largest relative difference {worst:.1e}; allowed is {TOLERANCE:.0e}.")
    sys.exit(int(not worst <= TOLERANCE))


if __name__ == "__main__":
    command_line.run(main, parse)
