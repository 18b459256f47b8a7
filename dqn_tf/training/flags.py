"""The command line: absl flags generated from DQNConfig, help in groups, errors as one sentence.

Nothing here imports TensorFlow, so `--help` and every mistake in a flag are answered at once.
"""

import dataclasses
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from absl import app, flags

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig, show
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


def run(main: Callable[[Any], Any], parse: Callable[[Sequence[str]], Any]) -> None:
    """Runs `main(parse(argv))` under absl; a UserError ends it with its sentence and exit status 1."""
    try:
        app.run(main, flags_parser=parse)
    except UserError as error:
        if verbose():
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)


def verbose() -> bool:
    """Whether tracebacks and TensorFlow's own log are wanted; known even where the flags are not in
    order.
    """
    return any(word.lstrip("-") in ("verbose", "verbose=true") for word in sys.argv[1:])


def parse_training_flags(argv: Sequence[str]) -> TrainingFlags:
    """Reads train.py's flags and proves them consistent. Raises UserError; exits after `--help`."""
    define_config_flags(flags.FLAGS)
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
    values = parse(argv, training_help)
    overrides = (presets.RAINBOW if values["rainbow"] else {}) | config_overrides(values)
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


def parse(argv: Sequence[str], help_text: Callable[[Sequence[str]], str]) -> dict[str, Any]:
    """All flag values by name. Raises UserError on an unknown or malformed flag or a stray word."""
    if any(word in ("--help", "-h", "-help", "--helpfull", "--helpshort") for word in argv[1:]):
        print(help_text(argv))
        sys.exit(0)
    try:
        stray = flags.FLAGS(list(argv))[1:]
    except flags.Error as error:
        raise UserError(
            f"{' '.join(str(error).split())} ({argv[0]} --help lists the flags)"
        ) from error
    if stray:
        raise UserError(
            f"'{stray[0]}' is not a flag; flags look like --name=value ({argv[0]} --help lists"
            " them)."
        )
    return flags.FLAGS.flag_values_dict()


def define_config_flags(flag_values: flags.FlagValues) -> None:
    """One flag per field of DQNConfig; None means that the user did not give it."""
    kinds = {"int": flags.DEFINE_integer, "float": flags.DEFINE_float, "bool": flags.DEFINE_bool}
    for field in dataclasses.fields(DQNConfig):
        define = kinds.get(_kind(field), flags.DEFINE_string)
        define(field.name, None, field.metadata["help"], flag_values=flag_values)


def config_overrides(values: dict[str, Any]) -> dict[str, Any]:
    """The fields of DQNConfig among all flags' values that the user gave, each in its field's type.

    Raises UserError.
    """
    return {
        field.name: _typed(field, values[field.name])
        for field in dataclasses.fields(DQNConfig)
        if values[field.name] is not None
    }


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
            *_indented(field.metadata["help"] + (f" ({source})" if source else "")),
        ]
    lines += ["", "Presets, files and resuming:"]
    for name in ("rainbow", *TrainingFlags._fields[1:], "verbose"):
        lines += [f"  --{name}", *_indented(flags.FLAGS[name].help)]
    return "\n".join(lines)


def _indented(text: str) -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _kind(field: dataclasses.Field) -> str:
    return field.type.removesuffix(" | None")


def _typed(field: dataclasses.Field, value: Any) -> Any:
    """Flags know no tuples: `--hidden_units=128,128` becomes (128, 128)."""
    if not _kind(field).startswith("tuple"):
        return value
    try:
        return tuple(int(word) for word in value.split(",") if word)
    except ValueError as error:
        raise UserError(
            f"--{field.name}={value}: must be whole numbers such as 256,256."
        ) from error
