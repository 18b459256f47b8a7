"""Where a tracker keeps runs if nobody says it."""

from pathlib import Path

from dqn_tf.tracking.tracker import TRACKERS

SQLITE = "sqlite:///"


def default_uri(run: Path, to: str, has_several: bool) -> str:
    """Return a place beside the run, or in the directory of several."""
    run = run.absolute()
    path = (run if has_several else run.parent) / TRACKERS[to].place
    return f"{SQLITE}{path}" if to == "mlflow" else str(path)
