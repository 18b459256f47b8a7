"""The flags of `python -m dqn_tf.traffic`, their help page, and the checks that need only them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from dqn_tf.support import command_line, files
from dqn_tf.support.errors import UserError

EXAMPLES = {"logs": "logs", "model": "saved_models/CartPole-v1/2"}


class TrafficFlags(NamedTuple):
    """The flags' values."""

    logs: str
    model: str
    json: str | None


def parse(argv: Sequence[str]) -> TrafficFlags:
    """Read and check the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    parsed = TrafficFlags(values.logs, values.model, values.json)
    for name, example in EXAMPLES.items():
        if not getattr(parsed, name):
            raise UserError(f"--{name} is missing: give a directory, such as --{name}={example}.")
    if parsed.json:
        files.require_file("json", Path(parsed.json))
    return parsed


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    command_line.define_path("logs", None, "directory of the record files", values)
    command_line.define_path(
        "model",
        None,
        "the candidate: one version, a directory of versions (the newest is taken) or a run"
        " directory",
        values,
    )
    command_line.define_path(
        "json", None, "file to write everything to, each component's range too", values
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = [f"{command} --logs=DIR --model=saved_models/CartPole-v1/2"]
    text = (
        "Sends every request in DIR, as a server wrote them with --log_requests=DIR, to another"
        " export. Says how often it would have acted as the version that served, how far their"
        " Q-values are apart, and whether the observations lie where training saw them."
    )
    return command_line.help_page(usage, text, {"": command_line.entries(values)})
