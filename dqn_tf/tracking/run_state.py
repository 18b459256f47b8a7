"""tracking.json in a run directory: the run's key in all trackers, and the files that each has.

Followers that send one run to several trackers share it.
"""

import contextlib
import fcntl
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import write_json, writing
from dqn_tf.support.json_files import read_object

STATE, LOCK = "tracking.json", ".tracking.lock"


def read(path: Path) -> dict[str, Any]:
    """Return a run's key and what was sent.

    The key is drawn if there is none yet, and anew for a copy of a run that is still there.
    """
    here = str(path.resolve())
    with _locked(path):
        state = _read(path)
        if state is None or _is_copy(state, here):
            state = {"key": uuid.uuid4().hex[:12], "files": {}}
        if state.get("directory") != here:  # new, copied or moved
            state["directory"] = here
            _write(path, state)
    return state


def remember_files(path: Path, place: str, digest: str) -> None:
    """Add what was sent to one tracker to what others have written there meanwhile."""
    with _locked(path):
        state = _read(path)
        if state is not None:
            state["files"][place] = digest
            _write(path, state)


def _read(path: Path) -> dict[str, Any] | None:
    file = path / STATE
    state = read_object(file) if file.exists() else {}
    is_whole = isinstance(state.get("key"), str) and isinstance(state.get("files"), dict)
    return state if is_whole else None


def _is_copy(state: Mapping[str, Any], here: str) -> bool:
    """Tell whether the state is of another directory, which has the same key today."""
    before = state.get("directory")
    if not isinstance(before, str) or before == here:
        return False
    try:
        original = _read(Path(before))
    except (OSError, UserError):
        return False
    return original is not None and original["key"] == state["key"]


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with writing(path / STATE):
        write_json(path / STATE, state)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Wait until no other tracker's follower is at the run's state, and keep them away."""
    with writing(path):
        lock = (path / LOCK).open("a", encoding="utf-8")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
