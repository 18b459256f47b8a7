"""The flags of `dqn-track`, their help page, and the checks that need only them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.destination import read_uri
from dqn_tf.tracking.tracker import TRACKERS, require_packages

NICENESS = 19


class TrackingFlags(NamedTuple):
    """The flags' values."""

    run: Path
    to: str
    tracking_uri: str | None
    project: str | None
    name: str | None
    period_seconds: float
    patience_seconds: float
    delay_seconds: float
    niceness: int


def parse(argv: Sequence[str]) -> TrackingFlags:
    """Read and check the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    parsed = TrackingFlags(*(getattr(values, name) for name in TrackingFlags._fields))
    if not parsed.run:
        raise UserError(
            "--run is missing: name a run directory or one with several, such as"
            " --run=runs/CartPole-v1."
        )
    if not parsed.to:
        raise UserError(f"--to is missing: name one of {', '.join(TRACKERS)}.")
    run = Path(parsed.run)
    if not run.is_dir():
        raise UserError(f"--run={run}: there is no such directory.")
    for name in ("period_seconds", "patience_seconds", "delay_seconds"):
        if not math.isfinite(getattr(parsed, name)):
            raise UserError(f"--{name}={getattr(parsed, name)}: must be a number of seconds.")
    uri = read_uri(parsed.to, parsed.tracking_uri)
    require_packages(parsed.to)
    return parsed._replace(run=run, tracking_uri=uri)


def define(values: flags.FlagValues) -> None:
    """Define all flags; the defaults are here and nowhere else."""
    command_line.define_path(
        "run", None, "run directory, or a directory with runs anywhere below it", values
    )
    flags.DEFINE_enum("to", None, list(TRACKERS), "the tracker", flag_values=values)
    flags.DEFINE_string(
        "tracking_uri",
        None,
        "where the tracker keeps runs: for mlflow a database or a server, for wandb and trackio a"
        " directory; beside the run, or in the directory of several, if not given (mlflow.db,"
        " wandb, trackio)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "project",
        None,
        "the tracker's project, MLflow's experiment; the environment's id if not given",
        flag_values=values,
    )
    flags.DEFINE_string(
        "name",
        None,
        "the run's name there; its directory's if not given. Of several runs it comes before"
        " theirs",
        flag_values=values,
    )
    flags.DEFINE_float(
        "period_seconds",
        5.0,
        "while a run is trained: look for something new so often",
        lower_bound=0.01,
        flag_values=values,
    )
    flags.DEFINE_float(
        "patience_seconds",
        0.0,
        "go on for so long after nobody trains any more, for runs that are started in turn",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "delay_seconds",
        0.0,
        "let runs that are being trained go on for so long before the tracker's package, which"
        " takes seconds to load, is; what has ended is sent at once",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "niceness",
        NICENESS,
        "how far the process steps back behind others: with 19, the most, a training beside it has"
        " the processor whenever it wants it",
        lower_bound=0,
        upper_bound=NICENESS,
        flag_values=values,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    text = """
        Sends a run, or all runs below a directory, to an experiment tracker: every number of
        metrics.csv, the configuration, the test's score, the export and the learning curve. While a
        run is trained, it is followed to its end. What the tracker has is never sent twice, so the
        command can be stopped and typed again at any time.

        The tracker's package is its own: pip install 'dqn_tf[tracking]' has all three.
        """
    sections = {"": command_line.entries(values)}
    return command_line.help_page([f"{command} --run=RUN_DIR --to=mlflow"], text, sections)
