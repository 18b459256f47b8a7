"""What a follower reads of a run: settings, new rows of metrics.csv, and the files at its end."""

import contextlib
import fcntl
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dqn_tf.run_files import metrics_file
from dqn_tf.run_files.evaluation_file import is_complete, read_report
from dqn_tf.support.files import moved
from dqn_tf.support.json_files import read_object
from dqn_tf.tracking.tracker import Row

CONFIG = "config.json"
METRICS = "metrics.csv"
OF_RUN = {CONFIG, METRICS}
OF_HUB = "results.json"  # beside them in a folder for the Hub, which is no run
LOCK = ".lock"  # of who trains there


def find_runs(directory: Path) -> list[Path]:
    """List the run directories at or below `directory` that have metrics, in order."""
    return [place for place, files in _outside_runs(directory) if files >= OF_RUN]


def is_training(run: Path) -> bool:
    """Tell whether a process trains in this run directory.

    The lock is tried only if the process that wrote its number there is alive or on another
    machine: a run that is about to be resumed must never find it taken.
    """
    try:
        with (run / LOCK).open("rb") as lock:
            number, _, node = lock.read().decode(errors="replace").partition(" on ")
            if node == platform.node() and number.isdigit() and not _is_alive(int(number)):
                return False
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def is_training_below(directory: Path) -> bool:
    """Tell whether a process trains in this directory or in one anywhere below it.

    It has its lock before there is a run that `find_runs` would list.
    """
    places = _outside_runs(directory)
    return any(LOCK in files and is_training(place) for place, files in places)


def _outside_runs(directory: Path) -> Iterator[tuple[Path, set[str]]]:
    """Yield each directory with the names of its files, in order, and nothing below a run."""
    for place, folders, files in os.walk(directory):
        names = set(files)
        if names >= OF_RUN:
            folders.clear()
        folders.sort()
        if OF_HUB not in names:
            yield Path(place), names


class RunFiles:
    """The files of one run, read again and again while they grow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._record: dict[str, Any] = {}
        self._names: list[str] = []
        self._end = 0  # of what was read of metrics.csv, in bytes
        self._last = b""  # the last line before it

    @property
    def report(self) -> dict[str, Any] | None:
        """The report of a run that has ended; None before."""
        return read_report(self.path / "evaluation.json", lambda sentence: None)

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended; one that was resumed and stopped still has a report."""
        report, settings = self.report, self._record.get("config")
        if report is None or not isinstance(settings, dict):
            return False
        updates = settings.get("pretrain_updates", 0) + settings.get("offline_updates", 0)
        return is_complete(report, settings.get("total_steps", 0), updates)

    def new_settings(self) -> dict[str, Any] | None:
        """Return the configuration if it was not read yet or has changed."""
        record = read_object(self.path / CONFIG)
        if record == self._record or not isinstance(record.get("config"), dict):
            return None
        self._record = record
        return record["config"]

    def new_rows(self) -> tuple[bool, list[Row]]:
        """Return the rows since the last call, and whether they are all anew.

        They are if metrics.csv was replaced, as a run does that is resumed. A line that is not
        whole yet is left for the next call.
        """
        path = self.path / METRICS
        with path.open("rb") as file:
            time = os.fstat(file.fileno()).st_mtime
            is_new = not self._goes_on(file)
            if is_new:
                self._end, self._last, self._names = 0, b"", []
            file.seek(self._end)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            return is_new, []
        self._end += len(data)
        lines = data.decode("utf-8-sig", errors="replace").splitlines()
        self._last = data.splitlines(keepends=True)[-1]
        if not self._names:
            self._names, has_header = metrics_file.column_names(lines[0])
            del lines[:has_header]
        return is_new, list(_rows(metrics_file.whole_rows(self._names, lines), time))

    def test_row(self) -> list[Row]:
        """Return the test's mean return at the run's end as a row; none before."""
        report = self.report
        if report is None:
            return []
        step = report["env_steps"] + report.get("offline_updates", 0)
        time = (self.path / "evaluation.json").stat().st_mtime
        return [Row(step, {metrics_file.TEST_RETURN: report["score"]["mean"]}, time)]

    def final_files(self) -> Mapping[str, Path]:
        """Return the files that a tracker keeps, by the names that they have there."""
        paths = {
            name: self.path / name for name in (CONFIG, "evaluation.json", "learning_curve.png")
        }
        report = self.report
        if report is not None:
            export = Path(report["export"])
            if isinstance(before := self._record.get("run_dir"), str):
                export = moved(export, Path(before), self.path)
            paths["export"] = export
        return {name: path for name, path in paths.items() if path.exists()}

    def _goes_on(self, file: Any) -> bool:
        """Tell whether the file still has, at its place, the last line that was read."""
        if not self._end:
            return False
        file.seek(self._end - len(self._last))
        return file.read(len(self._last)) == self._last


def _rows(texts: list[dict[str, str]], time: float) -> Iterator[Row]:
    for text in texts:
        values = {name: float(cell) for name, cell in text.items() if cell and name != "env_step"}
        if values:
            yield Row(int(text["env_step"]), values, time)


def _is_alive(number: int) -> bool:
    with contextlib.suppress(PermissionError):  # another user's
        try:
            os.kill(number, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
