"""`python -m dqn_tf.doctor`: probes a configuration, or examines an environment with --env.

TensorFlow is loaded late.
"""

import textwrap
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from dqn_tf.agent.networks import choice
from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.doctor import advice, random_play
from dqn_tf.envs import registry
from dqn_tf.envs.probes import probes
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import memory_plan
from dqn_tf.support import command_line, tensorflow_loading
from dqn_tf.support.interrupts import answer_signals

MAX_STEPS = 5_000


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Return the settings that were given. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    rainbow: dict[str, Any] = presets.RAINBOW if values.rainbow else {}
    return rainbow | config_flags.config_overrides(values.flag_values_dict())


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and one for all of Rainbow's."""
    config_flags.define_config_flags(values)
    flags.DEFINE_bool("rainbow", False, "all of Rainbow's parts at once", flag_values=values)


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = f"{command} [--env=my_module:MyEnv-v0] [any flag of train.py that names a setting]"
    text = f"""
        Without --env: trains a table on {len(probes(1))} tiny environments whose Q-values are
        known by hand, with the improvements that you give ({command} --double --n_step=3). Tells
        for each whether the right Q-value was learned, or the one that a well-known mistake would
        give. It takes a minute; the exit status is 1 if one is wrong.

        With --env: plays the environment at random ({MAX_STEPS:,} steps at most) and says in
        plain words what is wrong with it, and what to change in it or in the configuration that
        you give. The exit status is 1 if something is wrong; advice alone is 0.

        All settings: {command_line.other_command("training")} --help
        """
    sections = {"": command_line.entries(values, "rainbow", "verbose")}
    return command_line.help_page([usage], text, sections)


def main(overrides: dict[str, Any]) -> None:
    """Examine an environment or run the probes; exit with 1 if something is wrong."""
    if not command_line.verbose():
        warnings.simplefilter("ignore")  # Gymnasium's advice; what matters is said by us
    work = examine_environment if "env" in overrides else run_probes
    answer_signals(
        lambda interrupts: work(overrides, interrupts.check), "Stopped before the doctor was done."
    )


def run_probes(overrides: dict[str, Any], check: Callable[[], None] = lambda: None) -> int:
    """Run every probe and print a line for each; return the exit status.

    `check` is called before each and may raise. Raises UserError on settings that do not go
    together.
    """
    chosen_probes = probes(overrides.get("n_step", DQNConfig.n_step))
    tensorflow_loading.load_tensorflow(command_line.verbose())
    from dqn_tf.doctor import probe_runs  # imports TensorFlow

    for probe in chosen_probes:
        # a refusal comes before the first probe, not after it
        probe_runs.configuration(probe, overrides)
    start = time.monotonic()
    failed = 0
    print(f"{'probe':<12} {'expected':>8} {'learned':>8} {'mistake':>8}  verdict")
    for probe in chosen_probes:
        check()
        result = probe_runs.learn(probe, overrides)
        numbers = f"{probe.expected:8.3f} {result.q_value:8.3f} {probe.wrong:8.3f}"
        print(f"{probe.name:<12} {numbers}  {result.verdict}", flush=True)
        if not result.passed:
            failed += 1
            explanation = textwrap.fill(f"Right: {probe.tests}. {probe.why}.", 100)
            print(textwrap.indent(explanation, " " * 13))
    if failed:
        outcome = f"{failed} of {len(chosen_probes)} probes failed"
    else:
        outcome = f"all {len(chosen_probes)} probes learned the right Q-value"
    print(
        f"{outcome}, in {time.monotonic() - start:.0f} s. "
        '("mistake" is the Q-value that the probe\'s mistake would learn.)'
    )
    if replaced := probe_runs.replaced(overrides):
        print(f"For what a probe asks, it has values of its own for {', '.join(replaced)}.")
    if untested := probe_runs.untested(overrides):
        print(f"No probe tests {', '.join(untested)}.")
    return int(failed > 0)


def examine_environment(overrides: dict[str, Any], check: Callable[[], None] = lambda: None) -> int:
    """Play the environment at random and print the advice; return the exit status.

    `check` is called before each step and may raise. Raises UserError if the environment cannot be
    used at all, or if train.py would refuse to learn from it.
    """
    config = presets.configure(overrides["env"], overrides)
    if config.engine == "graph":
        registry.require_native(config.env)
    facts = random_play.inspect(config, MAX_STEPS, check)
    _require_learnable(config, facts.spaces)
    findings = advice.findings(facts, config)
    for kind, subject, text in findings:
        line = f"{kind:<7} {subject:<13} {text}"
        print(textwrap.fill(line, 118, subsequent_indent=" " * 22))
    kinds = [finding.kind for finding in findings]
    wrong = kinds.count(advice.WRONG)
    changes = kinds.count(advice.CHANGE)
    if wrong or changes:
        print(f"{config.env}: {wrong} wrong, {changes} to change.")
    else:
        print(f"{config.env}: fit to learn from, with this configuration.")
    return int(wrong > 0)


def _require_learnable(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError where train.py would refuse to learn from such spaces."""
    choice.require_fit(config.network, spaces)
    config = memory_plan.with_capacity(config, spaces)
    memory_plan.require_memory(config, spaces, parameters=choice.parameters(config, spaces))


def command() -> None:
    """Run the command with the words that were typed."""
    command_line.run(main, parse)


if __name__ == "__main__":
    command()
