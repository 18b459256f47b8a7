"""A run directory:

names of its files, its configuration, and the lock that keeps a second process out.
"""

import datetime
import fcntl
import json
import os
import platform
from pathlib import Path
from typing import Any, TextIO

from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig, show
from dqn_tf.envs.registry import directory_name
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from dqn_tf.support.files import write_json

CONFIG = "config.json"


class RunDirectory:
    """One run's files.

    Once locked or entered, no other process gets in; the lock dies with the process.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.csv"
        self.tensorboard = self.path / "tensorboard"
        self.learning_curve = self.path / "learning_curve.png"
        self.evaluation = self.path / "evaluation.json"
        self._config = self.path / CONFIG
        self._lock: TextIO | None = None

    def lock(self) -> None:
        """Takes the directory for this process.

        Raises UserError if another has it or it cannot be written.
        """
        if self._lock is not None:
            return
        try:
            lock = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with lock:
                lock.seek(0)
                raise UserError(
                    f"{self.path} is in use by process"
                    f" {lock.read().strip() or 'of unknown number'}; wait for it, or choose another"
                    " --run_dir."
                ) from error
        lock.truncate(0)  # what a dead process wrote here no longer holds
        lock.write(f"{os.getpid()} on {platform.node()}")
        lock.flush()
        self._lock = lock

    def __enter__(self) -> "RunDirectory":
        self.lock()
        return self

    def __exit__(self, *_) -> None:
        self._lock.close()
        self._lock = None

    @classmethod
    def create(cls, path: str | Path) -> "RunDirectory":
        """A new, empty one, locked.

        Raises UserError if the path cannot be written or already holds a run.
        """
        run = cls(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--run_dir={path} cannot be made a directory: {error.strerror}."
            ) from error
        run.lock()
        if run._config.exists():
            raise UserError(
                f"--run_dir={path} already holds a run. Go on with --resume={path}, or choose"
                " another directory."
            )
        return run

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """An old run's, locked. Raises UserError if it is not a run directory, or not free."""
        run = cls(path)
        if not run.path.is_dir():
            raise UserError(f"--resume={path}: there is no such directory.")
        if not run._config.is_file():
            raise UserError(f"--resume={path}: no config.json there, so it is not a run directory.")
        run.lock()
        return run

    def write_config(self, config: DQNConfig, spaces: Spaces, export_dir: Path) -> None:
        """Records what the run is, so that `--resume` needs no other flag."""
        write_json(
            self._config,
            {"config": config.to_dict(), "spaces": spaces.to_dict(), "export_dir": str(export_dir)},
        )

    def read_config(self) -> tuple[DQNConfig, Spaces, Path]:
        """What `write_config` recorded. Raises UserError if it cannot be read."""
        try:
            record = json.loads(self._config.read_text(encoding="utf-8"))
            return (
                DQNConfig.from_dict(record["config"]),
                Spaces.from_dict(record["spaces"]),
                Path(record["export_dir"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{self._config} cannot be read: {error}.") from error

    def read_evaluation(self) -> dict[str, Any] | None:
        """The final report, if the run is complete."""
        try:
            return json.loads(self.evaluation.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def new_path(config: DQNConfig, num_seeds: int = 1) -> Path:
    """Where a run goes that was given no place:

    runs/<env>/<time>-seed<seed>, or ...-seeds<first>-<last> for several.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    seeds = (
        f"seed{config.seed}"
        if num_seeds == 1
        else f"seeds{config.seed}-{config.seed + num_seeds - 1}"
    )
    return Path("runs") / directory_name(config.env) / f"{now}-{seeds}"


def open_runs(path: str) -> list[RunDirectory]:
    """The old run in this directory, or those of the seeds that were trained at once in it, locked.

    Raises UserError if there is none.
    """
    return [RunDirectory.open(own) for own in seed_directories(Path(path))] or [
        RunDirectory.open(path)
    ]


def finished(directory: Path) -> list[tuple[RunDirectory, dict[str, Any]]]:
    """The complete ones of the runs of several seeds in a directory, with their reports, by seed.

    Locks nothing.
    """
    runs = [RunDirectory(path) for path in seed_directories(directory)]
    return [(run, report) for run in runs if (report := run.read_evaluation()) is not None]


def seed_directories(path: Path) -> list[Path]:
    """Where the runs of seeds that were trained at once lie, by seed."""
    return sorted(
        (own for own in path.glob("seed[0-9]*") if (own / CONFIG).is_file()),
        key=lambda own: (len(own.name), own.name),
    )


def changed(before: DQNConfig, overrides: dict[str, Any]) -> tuple[DQNConfig, list[str]]:
    """A resumed run's configuration, and its differences as sentences.

    Raises UserError listing those it cannot have.
    """
    old, new = before.to_dict(), before.to_dict() | overrides
    config = DQNConfig.from_dict(new)
    differences = {
        name: f"--{name} was {show(getattr(before, name))} and is now {show(getattr(config, name))}"
        for name in old
        if getattr(before, name) != getattr(config, name)
    }
    fixed = [text for name, text in differences.items() if name in FIXED_ON_RESUME]
    if fixed:
        raise UserError(
            "A run cannot be resumed with another "
            + "; ".join(fixed)
            + ". Leave these flags out, or start a new run."
        )
    return config, list(differences.values())
