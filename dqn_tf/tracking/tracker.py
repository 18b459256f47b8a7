"""What a follower asks of a tracker: MLflow, Weights & Biases, trackio."""

import importlib.util
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dqn_tf.support.errors import UserError


class Known(NamedTuple):
    """A tracker that can be named, and what it needs."""

    modules: tuple[str, ...]  # that are imported
    packages: str  # as pip installs them
    place: str  # where runs go below the directory of the runs, if nothing is given


TRACKERS = {
    "mlflow": Known(
        ("mlflow", "sqlalchemy", "alembic"), "mlflow-skinny sqlalchemy alembic", "mlflow.db"
    ),
    "wandb": Known(("wandb",), "wandb", ""),
    "trackio": Known(("trackio",), "trackio", "trackio"),
}

Scalar = tuple[str, int, str]  # metric, environment step, value


class Row(NamedTuple):
    """Numbers of one moment of a run."""

    env_step: int
    values: Mapping[str, float]
    time: float  # seconds since 1970; no later than this it was written


class Identity(NamedTuple):
    """How a run is called and known."""

    key: str  # letters and digits, drawn once for each run directory
    name: str
    project: str
    uri: str  # where the tracker keeps its runs
    start: float | None = None  # of the run, seconds since 1970; None if it is not known


class Tracker(Protocol):
    """One run in one tracker. What is sent twice must do no harm. Methods raise anything."""

    def sent(self) -> Counter[Scalar]:
        """Ask the tracker which scalars of the run it has, and how often."""

    def send(self, rows: Sequence[Row]) -> None:
        """Append rows. On return they are in the tracker's hands, though a crash may lose them."""

    def send_settings(self, settings: Mapping[str, Any]) -> None:
        """Write the run's configuration, or what has changed in it."""

    def send_files(self, paths: Mapping[str, Path]) -> None:
        """Write files and directories, under these names."""

    def end(self, is_complete: bool) -> None:
        """Close the run: its training has ended, or stopped before its end."""

    def close(self) -> None:
        """Bring to disk what was sent, and let go of the run."""


def scalar(name: str, env_step: int, value: float) -> Scalar:
    """Return a scalar as it is compared; a number that is no number equals itself."""
    return name, env_step, "nan" if math.isnan(value) else f"{value:.8g}"


def require_packages(to: str) -> None:
    """Raise UserError if the packages of this tracker are not installed."""
    known = TRACKERS[to]
    if not all(map(_is_installed, known.modules)):
        raise UserError(f"{to} is not installed. Type: pip install {known.packages}")


def _is_installed(module: str) -> bool:
    """Tell whether there is a package; a directory of its name, as of W&B's runs, is none."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None
