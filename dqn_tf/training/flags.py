"""The command line of train.py: its flags, their help page, and what is wrong with them alone.

Nothing here imports TensorFlow, so `--help` and a mistake in a flag are answered at once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.envs import registry
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.destination import read_uri
from dqn_tf.tracking.tracker import TRACKERS

MOST_SEEDS = 10_000  # each has a plan of its own before anything else is looked at


class TrainingFlags(NamedTuple):
    """What the user asked for: the fields given on the command line, and where the run lives."""

    overrides: dict[str, Any]
    num_seeds: int
    run_dir: str | None
    export_dir: str | None
    resume: str | None
    refill_replay: bool
    on_checkpoint_error: str
    track: str | None = None
    tracking_uri: str | None = None
    tracking_project: str | None = None


def parse_training_flags(argv: Sequence[str]) -> TrainingFlags:
    """Read the flags and check that they fit together.

    Raises UserError; exits after `--help`.
    """
    env = _env(argv)
    values = command_line.parse(
        argv, define, lambda command, values: _help_page(command, values, env)
    )
    rainbow: dict[str, Any] = presets.RAINBOW if values.rainbow else {}
    overrides = rainbow | config_flags.config_overrides(values.flag_values_dict())
    if not values.resume:
        config = presets.configure(overrides.get("env", DQNConfig.env), overrides)
        _require_seeds(values.num_seeds, config)
    elif values.run_dir:
        raise UserError("--resume names the run directory itself; leave out --run_dir.")
    elif values["num_seeds"].present:
        raise UserError(
            "--resume goes on with the seeds that are in the directory; leave out --num_seeds."
        )
    if values.refill_replay and not values.resume:
        raise UserError("--refill_replay is for a run that goes on: name it with --resume.")
    for name in ("tracking_uri", "tracking_project"):
        if values[name].present and not values.track:
            raise UserError(f"--{name} says where a run is sent: name the tracker with --track.")
    parsed = TrainingFlags(
        overrides, *(getattr(values, name) for name in TrainingFlags._fields[1:])
    )
    return parsed._replace(tracking_uri=read_uri(parsed.track, parsed.tracking_uri))


def define(values: flags.FlagValues) -> None:
    """Define all flags; the defaults are here and in DQNConfig, and nowhere else."""
    config_flags.define_config_flags(values)
    settings = ", ".join(f"--{name}={show(value)}" for name, value in presets.RAINBOW.items())
    flags.DEFINE_bool(
        "rainbow", False, f"all of Rainbow's parts at once: {settings}", flag_values=values
    )
    flags.DEFINE_integer(
        "num_seeds",
        1,
        "with --engine=graph: independent runs trained at once, with seeds --seed, --seed + 1, ...;"
        " each has its own directory in --run_dir and its SavedModel there",
        flag_values=values,
    )
    command_line.define_path(
        "run_dir",
        None,
        "directory to write; runs/<env>/<time>-seed<seed> if not given",
        values,
    )
    command_line.define_path(
        "export_dir",
        None,
        "where the next numbered SavedModel goes; saved_models/<env> if not given",
        values,
        of_models=True,
    )
    command_line.define_path(
        "resume",
        None,
        "run directory to go on with; other flags then change its settings",
        values,
    )
    flags.DEFINE_bool(
        "refill_replay",
        False,
        "with --resume: if the replay file is lost, collect anew before learning goes on",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "on_checkpoint_error",
        "stop",
        ["stop", "continue"],
        "what to do when a checkpoint cannot be written",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "track",
        None,
        list(TRACKERS),
        "send the run to this tracker while it is trained, by a process of low priority beside it"
        " (dqn-track)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tracking_uri",
        None,
        "with --track: where the tracker keeps runs; beside the run directory if not given",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tracking_project",
        None,
        "with --track: the tracker's project; the environment's id if not given",
        flag_values=values,
    )


def _require_seeds(number: int, config: DQNConfig) -> None:
    if number < 1:
        raise UserError(f"--num_seeds={number}: must be at least 1.")
    if number > MOST_SEEDS:
        raise UserError(f"--num_seeds={number}: must be at most {MOST_SEEDS:,}.")
    if number > 1 and config.engine != "graph":
        way_out = "add --engine=graph"
        if config.env not in registry.NATIVE:
            way_out = (
                f"--engine=graph does, for {', '.join(registry.NATIVE)}. For --env={config.env}"
                " start a run for each --seed"
            )
        raise UserError(
            f"--num_seeds={number} trains them in one program, which --engine={config.engine} does"
            f" not support: {way_out}."
        )


def _env(argv: Sequence[str]) -> str:
    """Return the `--env` typed, for the help page, or its default."""
    for word, after in zip(argv, [*argv[1:], ""], strict=True):
        name, sign, value = word.partition("=")
        if name in ("--env", "-env"):
            return (value if sign else after) or DQNConfig.env
    return DQNConfig.env


def _help_page(command: str, values: flags.FlagValues, env: str) -> str:
    """Return the help page, with the defaults that hold for `env`."""
    preset = presets.find(env)
    config = presets.configure(env, {})
    origin = f"preset: {preset.claim}" if preset else "no preset: the general defaults"
    protocol = f"Protocol: {config.protocol}. " if config.protocol else ""
    text = (
        f"Trains DQN on {env} ({origin}). {protocol}Writes a run directory and a SavedModel. The"
        " values shown hold for this environment."
    )
    names = ("rainbow", *TrainingFlags._fields[1:], "verbose")
    sections = config_flags.config_sections(config)
    sections["Presets, files and resuming"] = command_line.entries(values, *names)
    return command_line.help_page([f"{command} --env={env}"], text, sections)
