"""Where a tracker keeps runs."""

from pathlib import Path

from dqn_tf.support import command_line
from dqn_tf.tracking.tracker import TRACKERS

SQLITE = "sqlite:///"


def default_uri(run: Path, to: str, has_several: bool) -> str:
    """Return a place beside the run, or in the directory of several."""
    run = run.resolve()
    path = (run if has_several else run.parent) / TRACKERS[to].place
    return f"{SQLITE}{path}" if to == "mlflow" else str(path)


def read_uri(to: str | None, uri: str | None) -> str | None:
    """Read `--tracking_uri`, which is a directory of this machine for all but MLflow.

    Raises UserError.
    """
    if uri is None or to is None:
        return uri
    if to == "mlflow":  # one file is one place, however it is typed
        is_file = uri.startswith(SQLITE) and uri != SQLITE
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).resolve()}" if is_file else uri
    return str(Path(command_line.read_path("tracking_uri", uri)).resolve())
