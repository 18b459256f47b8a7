"""Follows runs: reads what is new of each and sends it, until nobody trains in them any more."""

import contextlib
import fcntl
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple, TextIO

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import writing
from dqn_tf.tracking import run_state
from dqn_tf.tracking.run_files import RunFiles, find_runs, is_training, is_training_below
from dqn_tf.tracking.tracker import Row, Scalar, Tracker, scalar

LOOK_SECONDS = 1.0  # between two looks at whether a training that is left alone has ended

Opener = Callable[[Path, str], Tracker]  # of a run directory, and of the run's key


class Follower:
    """One run and its tracker."""

    def __init__(self, path: Path, open_tracker: Opener, place: str) -> None:
        """Find or make the run in the tracker, and ask what it has.

        `place` names tracker and destination. Raises UserError, also if another process follows
        the run.
        """
        self.path = path
        self.scalars_sent = 0
        self.files_sent = 0
        self._place = place
        self._lock = _lock(path, place)
        with contextlib.ExitStack() as stack:
            stack.callback(self._lock.close)
            self._state = run_state.read(path)
            with _as_user_error(place):
                self._tracker = open_tracker(path, self._state["key"])
                self._read_again()
            stack.pop_all()
        self._has_scalars = bool(self._known)  # else all was deleted there, or is new

    def send_new(self) -> None:
        """Send what the run has written since the last call. Raises UserError."""
        with self._errors():
            self._send_new()

    def finish(self) -> None:
        """Send the rest of a run in which nobody trains any more, and let go of it.

        Raises UserError.
        """
        with self._errors():
            self._send_new()
            self._send(self._files.test_row())
            paths = self._files.final_files()
            digest = _digest(paths)
            if not self._has_scalars or digest != self._state["files"].get(self._place):
                self._tracker.send_files(paths)
                self.files_sent = len(paths)
            self._tracker.end(is_complete=self._files.is_complete)
            self._tracker.close()
        run_state.remember_files(self.path, self._place, digest)
        self._lock.close()

    def leave(self) -> None:
        """Let go of a run that is not there any more; what was sent stays."""
        with contextlib.suppress(UserError), self._errors():
            self._tracker.end(is_complete=False)
            self._tracker.close()
        self._lock.close()

    def _send_new(self) -> None:
        settings = self._files.new_settings()
        if settings is not None:
            self._tracker.send_settings(settings)
        is_anew, rows = self._files.new_rows()
        if is_anew:
            self._seen.clear()
        self._send(rows)

    def _send(self, rows: list[Row]) -> None:
        """Send those scalars that the tracker does not have."""
        missing = []
        scalars: list[Scalar] = []
        for row in rows:
            values = {}
            for name, value in row.values.items():
                key = scalar(name, row.env_step, value)
                self._seen[key] += 1
                if self._seen[key] > self._known[key]:
                    values[name] = value
                    scalars.append(key)
            if values:
                missing.append(row._replace(values=values))
        if missing:
            self._tracker.send(missing)
            self._known.update(scalars)
            self.scalars_sent += len(scalars)

    def _read_again(self) -> None:
        """Ask the tracker what it has, and read the run from its beginning."""
        self._known: Counter[Scalar] = self._tracker.sent()
        self._seen: Counter[Scalar] = Counter()  # in metrics.csv, as far as it was read
        self._files = RunFiles(self.path)
        self._has_failed = False

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Name errors; after one, nobody knows what has arrived, so the next call asks anew."""
        with _as_user_error(self._place):
            if self._has_failed:
                self._read_again()
            self._has_failed = True
            yield
            self._has_failed = False


def await_first_run(directory: Path, period: float) -> None:
    """Wait until there is a run at or below `directory`, as long as somebody trains there.

    Who trains has no config.json at first.
    """
    while is_training_below(directory) and not find_runs(directory):
        time.sleep(min(period, LOOK_SECONDS))


class Outcome(NamedTuple):
    """What was done."""

    runs: int
    scalars: int
    files: int


def follow(
    directory: Path,
    open_tracker: Opener,
    place: str,
    period: float,
    patience: float,
    delay: float = 0.0,
) -> Outcome:
    """Follow every run at or below `directory` until nobody has trained there for `patience`.

    All are seconds. Nothing is opened for `delay`, or until nobody trains any more.
    A run that cannot be reached at first is left alone. Once it has been reached, a tracker that
    fails is asked again after `period` seconds, as long as the run goes on. Raises UserError if
    there is no run, and at the end if anything was not sent.
    """
    walk = _Walk(directory, open_tracker, place)
    start = last_alive = time.monotonic()
    while True:
        # asked before anything is read: what a run wrote at its end is then seen
        alive = {path for path in find_runs(directory) if is_training(path)}
        is_alive = bool(alive) or is_training_below(directory)
        if is_alive and time.monotonic() - start < delay:
            time.sleep(min(period, LOOK_SECONDS))
            continue
        walk.visit(alive, is_alive or patience > 0)
        if is_alive:
            last_alive = time.monotonic()
        elif time.monotonic() - last_alive >= patience:
            return walk.outcome()
        time.sleep(period)


class _Walk:
    """The followers of all runs below a directory."""

    def __init__(self, directory: Path, open_tracker: Opener, place: str) -> None:
        self._directory = directory
        self._open_tracker = open_tracker
        self._place = place
        self._followers: dict[Path, Follower] = {}
        self._finished: set[Path] = set()
        self._failures: dict[Path, UserError] = {}
        self._scalars = self._files = 0

    def visit(self, alive: Set[Path], waits: bool = False) -> None:
        """Go to each run once.

        Raises UserError if no run could be reached at all, unless it `waits` for one to come.
        """
        found = find_runs(self._directory)
        self._leave(self._followers.keys() - found)
        for path in found:
            if path in self._failures or (path in self._finished and path not in alive):
                continue
            try:
                if path not in self._followers:
                    self._followers[path] = Follower(path, self._open_tracker, self._place)
                self._send(self._followers[path], path in alive)
            except UserError as error:
                if path in alive and path in self._followers:
                    print(f"{path}: {error} It is tried again.", flush=True)
                else:
                    self._failures[path] = error
        # where all that are alive have failed, no other comes: it may be the tracker's address
        is_to_come = waits and not (alive and alive <= self._failures.keys())
        if self._failures and not (self._followers or self._finished or is_to_come):
            raise next(iter(self._failures.values()))

    def _leave(self, gone: Collection[Path]) -> None:
        """Let go of runs that are not there any more."""
        for path in gone:
            self._followers.pop(path).leave()
            self._failures[path] = UserError(f"{path} was moved or deleted while it was followed.")

    def outcome(self) -> Outcome:
        """Return what was done. Raises UserError if it was nothing, or not all."""
        if self._failures:
            path, error = next(iter(self._failures.items()))
            number = len(self._failures)
            raise UserError(f"{number} of {number + len(self._finished)} runs: {path}: {error}")
        if not self._finished:
            raise UserError(
                f"{self._directory} has no run: no directory with config.json and metrics.csv."
            )
        return Outcome(len(self._finished), self._scalars, self._files)

    def _send(self, follower: Follower, is_alive: bool) -> None:
        if is_alive:
            follower.send_new()
            return
        follower.finish()
        del self._followers[follower.path]
        self._finished.add(follower.path)
        self._scalars += follower.scalars_sent
        self._files += follower.files_sent


@contextlib.contextmanager
def _as_user_error(place: str) -> Iterator[None]:
    """Turn whatever a tracker's package raises into a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{place} failed: {lines[0].rstrip('.')}.") from error


def _lock(path: Path, place: str) -> TextIO:
    """Keep other followers away from this run; the lock dies with the process."""
    name = place.partition(" ")[0]
    with writing(path):
        lock = (path / f".tracking-{name}.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise UserError(f"{path} is being sent to {name} by another process.") from error
    return lock


def _digest(paths: Mapping[str, Path]) -> str:
    """Return what changes when one of these files does, by its size and time.

    It is the same wherever the run lies.
    """
    parts = []
    for name, path in paths.items():
        for file in _all_files(path):
            status, inner = file.stat(), file.relative_to(path).as_posix()
            parts.append(f"{name} {inner} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _all_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    else:
        yield from sorted(inner for inner in path.rglob("*") if inner.is_file())
