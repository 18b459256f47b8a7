"""A run directory: the names of its files, its configuration, and its lock."""

import contextlib
import datetime
import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.envs.registry import directory_name
from dqn_tf.envs.spaces import Spaces
from dqn_tf.run_files.evaluation_file import read_report
from dqn_tf.support.command_line import typed_path
from dqn_tf.support.errors import UserError
from dqn_tf.support.files import moved, write_json, writing

CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
# of several seeds that were trained at once, beside their run directories
SUMMARY = "summary.json"
CURVES = "learning_curves.png"


class RunDirectory:
    """The files of one run.

    Once it is locked or entered, no other process gets in; the lock dies with the process.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / CHECKPOINTS
        self.metrics = self.path / "metrics.csv"
        self.tensorboard = self.path / "tensorboard"
        self.learning_curve = self.path / "learning_curve.png"
        self.evaluation = self.path / "evaluation.json"
        self._config = self.path / CONFIG
        self._lock: TextIO | None = None

    def lock(self) -> None:
        """Take the directory for this process.

        Raises UserError if another process has it, or if it cannot be written.
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
                holder = lock.read().strip() or "of unknown number"
            raise UserError(
                f"{self.path} is in use by process {holder}; wait for it, or choose another"
                " --run_dir."
            ) from error
        with contextlib.suppress(OSError):  # who holds the lock need not be readable to hold it
            lock.truncate(0)  # what a dead process wrote here no longer holds
            lock.write(f"{os.getpid()} on {platform.node()}")
            lock.flush()
        self._lock = lock

    def __enter__(self) -> "RunDirectory":
        self.lock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self._lock.close()
            self._lock = None

    @classmethod
    def create(cls, path: str | Path) -> "RunDirectory":
        """Make and lock a new, empty run directory.

        Raises UserError if the path cannot be written, or already holds a run or some of one.
        """
        run_dir = cls(path)
        try:
            run_dir.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--run_dir={path} cannot be made a directory: {error.strerror}."
            ) from error
        run_dir.lock()
        run_dir.require_new()
        return run_dir

    @classmethod
    def open(cls, path: str | Path) -> "RunDirectory":
        """Lock the directory of an old run.

        Raises UserError if it is not a run directory, or not free.
        """
        run_dir = cls(path)
        if not run_dir.path.is_dir():
            raise UserError(f"--resume={path}: there is no such directory.")
        if not run_dir._config.is_file():
            raise UserError(f"--resume={path}: no config.json there, so it is not a run directory.")
        run_dir.lock()
        run_dir._require_kinds()
        return run_dir

    def write_config(self, config: DQNConfig, spaces: Spaces, export_dir: Path) -> None:
        """Write config.json: with it, `--resume` needs no other flag.

        Raises UserError if it cannot be written.
        """
        record = {
            "config": config.to_dict(),
            "spaces": spaces.to_dict(),
            "export_dir": os.path.abspath(export_dir),
            "run_dir": os.path.abspath(self.path),
        }
        with writing(self._config):
            write_json(self._config, record)

    def read_config(self) -> tuple[DQNConfig, Spaces, Path]:
        """Return configuration, spaces and export directory from config.json.

        Raises UserError if it cannot be read.
        """
        try:
            record = json.loads(self._config.read_text(encoding="utf-8"))
            config = DQNConfig.from_dict(record["config"])
            spaces = Spaces.from_dict(record["spaces"])
            export_dir = Path(record["export_dir"])
            if "run_dir" in record:  # an earlier version kept a path of the working directory
                export_dir = moved(export_dir, Path(record["run_dir"]), self.path)
            return config, spaces, export_dir
        except UserError as error:
            raise UserError(f"{self._config} cannot be read: {error}") from error
        except RecursionError as error:
            raise UserError(f"{self._config} cannot be read: it is nested too deep.") from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise UserError(f"{self._config} cannot be read: {reason}.") from error

    def read_evaluation(self, say: Callable[[str], Any] = print) -> dict[str, Any] | None:
        """Return the report in evaluation.json (`report.Report`), or None if there is none.

        `say` is told of one that cannot be used.
        """
        return read_report(self.evaluation, say)

    def require_new(self) -> None:
        """Raise UserError where there is a run, or some of one."""
        self._require_kinds()
        if self._config.exists():
            goes_on = any(self.checkpoints.glob("*")) or self.evaluation.exists()
            way = f"Go on with --resume={typed_path(self.path)}, or choose" if goes_on else "Choose"
            raise UserError(f"--run_dir={self.path} already holds a run. {way} another directory.")
        self._require_no_rest()

    def _require_no_rest(self) -> None:
        """Raise UserError where something of a run is left that a new one would take for its own.

        Its first checkpoint would end all later ones, and its curves would take the place of those.
        """
        rest = [
            self.metrics,
            self.evaluation,
            self.learning_curve,
            *self.checkpoints.glob("*"),
            *self.tensorboard.glob("events.out.tfevents.*"),
            *_seeds(self.path),
        ]
        found = next((path for path in rest if path.exists()), None)
        if found is not None:
            raise UserError(
                f"--run_dir={self.path} has {found.relative_to(self.path)} of another run in it:"
                " choose another directory."
            )

    def _require_kinds(self) -> None:
        """Raise UserError where a directory stands in a file's place, or a file in one's."""
        places = (self._config, self.metrics, self.evaluation, self.learning_curve)
        require_files(self.path, *(path.name for path in places))
        for path in (self.checkpoints, self.tensorboard):
            if path.exists() and not path.is_dir():
                raise UserError(f"{path} is a file, and a directory of the run has to be there.")


def require_files(directory: Path, *names: str) -> None:
    """Raise UserError where a directory has the name of a file that is to be written."""
    for name in names:
        if (directory / name).is_dir():
            raise UserError(
                f"{directory / name} is a directory, and a file of the run has to be there."
            )


def default_path(env: str, first_seed: int, num_seeds: int = 1) -> Path:
    """Return the default run directory.

    It is runs/<env>/<time>-seed<seed>, or ...-seeds<first>-<last> for several.
    """
    now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    if num_seeds == 1:
        seeds = f"seed{first_seed}"
    else:
        seeds = f"seeds{first_seed}-{first_seed + num_seeds - 1}"
    return Path("runs") / directory_name(env) / f"{now}-{seeds}"


def open_runs(path: str) -> list[RunDirectory]:
    """Lock the old run in this directory, or all runs of the several seeds in it.

    Raises UserError if there is none.
    """
    paths: Sequence[str | Path] = seed_directories(Path(path)) or [path]
    return [RunDirectory.open(run_path) for run_path in paths]


def require_place_for_seeds(directory: Path, config: DQNConfig) -> None:
    """Raise UserError where runs of several seeds would lie among others than their like."""
    if (directory / CONFIG).is_file():
        raise UserError(f"--run_dir={directory} already holds a run: choose another directory.")
    for path in seed_directories(directory):
        require_alike(path, RunDirectory(path).read_config()[0], config, "choose another --run_dir")


def require_alike(path: Path, config: DQNConfig, other: DQNConfig, instead: str) -> None:
    """Raise UserError if the run at `path` differs in more than the seed from one beside it."""
    differences = [
        f"--{name} is {_shown(value)} there and {_shown(getattr(other, name))} here"
        for name, value in vars(config).items()
        if name != "seed" and value != getattr(other, name)
    ]
    if differences:
        raise UserError(
            f"{path} differs from the runs beside it in more than the seed"
            f" ({'; '.join(differences)}): {instead}."
        )


def finished_runs(directory: Path) -> dict[int, tuple[RunDirectory, dict[str, Any]]]:
    """Return run directory and report of every finished run of several seeds, by seed.

    Nothing is locked.
    """
    runs = {}
    for path in seed_directories(directory):
        run_dir = RunDirectory(path)
        report = run_dir.read_evaluation()
        if report is not None:
            runs[report["seed"]] = run_dir, report
    return runs


def seed_directories(directory: Path) -> list[Path]:
    """List the run directories of several seeds that were trained at once, by seed."""
    paths = [path for path in _seeds(directory) if (path / CONFIG).is_file()]
    return sorted(paths, key=lambda path: (len(path.name), path.name))


def _seeds(directory: Path) -> Iterator[Path]:
    return directory.glob("seed[0-9]*")


def changed_config(before: DQNConfig, overrides: dict[str, Any]) -> tuple[DQNConfig, list[str]]:
    """Return a resumed run's configuration and a phrase for each setting that differs.

    Raises UserError listing the settings that cannot change, whether or not they would fit with
    the others.
    """
    if overrides.get("workers") == 0:  # what is about workers goes with them
        overrides = {"ray_address": "", "accept_other_workers": False} | overrides
    values = presets.without_rise(before.to_dict(), overrides) | overrides
    try:
        config = DQNConfig.from_dict(values)
    except UserError:
        _require_changeable(_differences(before, overrides))
        raise
    differences = _differences(before, {name: getattr(config, name) for name in before.to_dict()})
    _require_changeable(differences)
    return config, list(differences.values())


def _differences(before: DQNConfig, now: Mapping[str, Any]) -> dict[str, str]:
    """Return a phrase for each setting of `now` that is another one than before, by name."""
    return {
        name: f"--{name} was {_shown(getattr(before, name))} and is now {_shown(value)}"
        for name, value in now.items()
        if getattr(before, name) != value
    }


def _shown(value: Any) -> str:
    return "not given" if value is None else show(value) or "not given"


def _require_changeable(differences: Mapping[str, str]) -> None:
    refused = [phrase for name, phrase in differences.items() if name in FIXED_ON_RESUME]
    if refused:
        raise UserError(
            f"What a run began with cannot change when it is resumed: {'; '.join(refused)}. Leave"
            " these flags out, or start a new run."
        )
