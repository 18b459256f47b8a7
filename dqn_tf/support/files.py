"""Files and directories that appear whole or not at all.

They are written to a hidden path beside their destination, synced, and renamed. A crash at any
moment leaves the old one or the new one, and at worst a path whose name begins with `.tmp-`.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HIDDEN = ".tmp-"  # how the name of whatever is not whole begins


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a directory to, which then takes the place of `path`.

    After an error in the block, `path` is as it was and what was written is deleted.
    """
    with unfinished(path.parent, path.suffix) as aside, unfinished(path.parent) as old:
        yield aside
        sync(aside)
        if aside.is_dir() and path.is_dir():
            path.rename(old)  # a rename replaces a file, but no directory
        aside.replace(path)
        _sync_entry(path.parent)


@contextlib.contextmanager
def unfinished(directory: Path, suffix: str = "") -> Iterator[Path]:
    """Yield an unused hidden path in `directory`; what lies there at the end is deleted."""
    path = _hidden(directory, suffix)
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):
            _remove(path)


def rename(aside: Path, path: Path) -> None:
    """Sync `aside`, rename it to `path` and sync the new name.

    Raises OSError where `path` is a directory with something in it.
    """
    sync(aside)
    aside.rename(path)
    _sync_entry(path.parent)


def delete(path: Path) -> None:
    """Delete a file or a directory under a hidden name, so that it is never seen half deleted."""
    _remove(path.rename(_hidden(path.parent)))


def sweep(directory: Path) -> None:
    """Delete what crashes left behind in `directory`, as far as it can be deleted."""
    for path in directory.glob(f"{HIDDEN}*"):
        with contextlib.suppress(OSError):
            _remove(path)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file: the old or the new one is there, never half of one."""
    with replaced(path) as aside, aside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def sync(path: Path) -> None:
    """Wait until a file, or a directory and everything in it, is on the disk."""
    if path.is_dir():
        for inner in path.rglob("*"):
            _sync_entry(inner)
    _sync_entry(path)


def _sync_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _hidden(directory: Path, suffix: str = "") -> Path:
    return directory / f"{HIDDEN}{uuid.uuid4().hex[:8]}{suffix}"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
