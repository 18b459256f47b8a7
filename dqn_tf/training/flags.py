"""The command line: absl flags generated from DQNConfig, help in groups, errors as one sentence.

Nothing here imports TensorFlow, so `--help` and every mistake in a flag are answered at once.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig, show
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError


class TrainingFlags(NamedTuple):
    """What the user asked for: the fields given on the command line, and where the run lives."""

    overrides: dict[str, Any]
    num_seeds: int
    run_dir: str | None
    export_dir: str | None
    resume: str | None
    refill_replay: bool
    on_checkpoint_error: str


def parse_training_flags(argv: Sequence[str]) -> TrainingFlags:
    """Reads train.py's flags and proves them consistent. Raises UserError; exits after `--help`."""
    config_flags.define_config_flags(flags.FLAGS)
    flags.DEFINE_integer(
        "num_seeds",
        1,
        "with --engine=graph: independent runs trained at once, with seeds --seed, --seed + 1, ...;"
        " each has its own directory in --run_dir and its SavedModel there",
    )
    flags.DEFINE_string(
        "run_dir", None, "directory to write; runs/<env>/<time>-seed<seed> if not given"
    )
    flags.DEFINE_string(
        "export_dir",
        None,
        "where the next numbered SavedModel goes; saved_models/<env> if not given",
    )
    flags.DEFINE_string(
        "resume", None, "run directory to go on with; other flags then change its settings"
    )
    flags.DEFINE_bool(
        "refill_replay",
        False,
        "with --resume: if the replay file is lost, collect anew before learning goes on",
    )
    flags.DEFINE_enum(
        "on_checkpoint_error",
        "stop",
        ["stop", "continue"],
        "what to do when a checkpoint cannot be written",
    )
    parts = ", ".join(f"--{name}={show(value)}" for name, value in presets.RAINBOW.items())
    flags.DEFINE_bool("rainbow", False, f"all of Rainbow's parts at once: {parts}")
    flags.DEFINE_bool("verbose", False, "tracebacks and TensorFlow's own log")
    values = command_line.parse(argv, training_help)
    overrides = (presets.RAINBOW if values["rainbow"] else {}) | config_flags.config_overrides(
        values
    )
    if not values["resume"]:
        _require_seeds(
            values["num_seeds"], presets.configure(overrides.get("env", DQNConfig.env), overrides)
        )
    elif values["run_dir"]:
        raise UserError("--resume names the run directory itself; leave out --run_dir.")
    elif flags.FLAGS["num_seeds"].present:
        raise UserError(
            "--resume goes on with the seeds that are in the directory; leave out --num_seeds."
        )
    return TrainingFlags(overrides, *(values[name] for name in TrainingFlags._fields[1:]))


def _require_seeds(number: int, config: DQNConfig) -> None:
    if number < 1:
        raise UserError(f"--num_seeds={number}: must be at least 1.")
    if number > 1 and config.engine != "graph":
        raise UserError(
            f"--num_seeds={number} trains them in one program, which --engine={config.engine} has"
            " not: add --engine=graph."
        )


def training_help(argv: Sequence[str]) -> str:
    """The help page, with the defaults that hold for the `--env` on the same command line."""
    env = next((word.split("=", 1)[1] for word in argv if word.startswith("--env=")), DQNConfig.env)
    preset = presets.find(env)
    config = DQNConfig(**{"env": env} | (preset.values if preset else {}))
    lines = [
        f"python {argv[0]} --env={env}",
        "",
        f"Trains DQN on {env}"
        + (f" (preset: {preset.claim})." if preset else " (no preset: the general defaults)."),
        *([f"Protocol: {config.protocol}."] if config.protocol else []),
        "Writes a run directory and a SavedModel. The values shown hold for this environment.",
    ]
    group = None
    for field in dataclasses.fields(DQNConfig):
        if field.metadata["group"] != group:
            group = field.metadata["group"]
            lines += ["", f"{group}:"]
        value, unit, source = (
            getattr(config, field.name),
            field.metadata["unit"],
            field.metadata["source"],
        )
        lines += [
            f"  --{field.name}"
            + ("" if value is None else f"={show(value)}")
            + (f"  [{unit}]" if unit else ""),
            *command_line.indented(field.metadata["help"] + (f" ({source})" if source else "")),
        ]
    lines += ["", "Presets, files and resuming:"]
    for name in ("rainbow", *TrainingFlags._fields[1:], "verbose"):
        lines += [f"  --{name}", *command_line.indented(flags.FLAGS[name].help)]
    return "\n".join(lines)
