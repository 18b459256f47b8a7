"""`dqn-track --run=RUN_DIR --to=mlflow`, or `python -m dqn_tf.tracking`: sends runs to a tracker.

Nothing here loads TensorFlow.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dqn_tf.support import command_line
from dqn_tf.support.addresses import without_password
from dqn_tf.support.json_files import read_object
from dqn_tf.tracking import mlflow_tracker, trackio_tracker, wandb_tracker
from dqn_tf.tracking.destination import default_uri
from dqn_tf.tracking.flags import TrackingFlags, parse
from dqn_tf.tracking.follower import await_first_run, follow
from dqn_tf.tracking.run_files import CONFIG
from dqn_tf.tracking.tracker import Identity, Tracker

OPEN: dict[str, tuple[Callable[[str], None], Callable[[Identity], Tracker]]] = {
    "mlflow": (mlflow_tracker.require_uri, mlflow_tracker.MlflowTracker),
    "wandb": (wandb_tracker.require_uri, wandb_tracker.WandbTracker),
    "trackio": (trackio_tracker.require_uri, trackio_tracker.TrackioTracker),
}


def command() -> None:
    """Run the command that the process was started with."""
    command_line.run(main, parse)


def main(flags: TrackingFlags) -> None:
    """Follow the runs to their end, and say what was sent. Raises UserError."""
    os.nice(flags.niceness)
    require_uri, open_tracker = OPEN[flags.to]
    await_first_run(flags.run, flags.period_seconds)
    uri = flags.tracking_uri or default_uri(
        flags.run, flags.to, has_several=not (flags.run / CONFIG).is_file()
    )
    require_uri(uri)

    def open_run(path: Path, key: str) -> Tracker:
        project = flags.project or project_of(path)
        start = (path / CONFIG).stat().st_mtime  # written when a run begins
        return open_tracker(Identity(key, run_name(flags, path), project, uri, start))

    place = f"{flags.to} ({without_password(uri)})"
    outcome = follow(
        flags.run,
        open_run,
        place,
        flags.period_seconds,
        flags.patience_seconds,
        flags.delay_seconds,
    )
    runs = f"{outcome.runs} run{'s' * (outcome.runs != 1)}"
    if outcome.scalars or outcome.files:
        print(f"Sent to {place}: {outcome.scalars:,} numbers and {outcome.files} files of {runs}.")
    else:
        print(f"{place} has all of {runs} already.")


def project_of(path: Path) -> str:
    """Return the environment's id, in letters that every tracker takes."""
    config: Any = read_object(path / CONFIG).get("config")
    env = str(config.get("env", "")) if isinstance(config, dict) else ""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", env).strip("-") or "dqn_tf"


def run_name(flags: TrackingFlags, path: Path) -> str:
    """Return how a run is called: by its directory, below the one of several."""
    parts = path.relative_to(flags.run).parts
    if not parts:
        return flags.name or path.absolute().name
    return "-".join([flags.name, *parts] if flags.name else parts)


if __name__ == "__main__":
    command()
