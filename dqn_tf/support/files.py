"""Files and directories that appear whole or not at all.

They are written to a hidden path beside their destination, synced, and renamed. A crash at any
moment leaves the old one or the new one, and at worst a path whose name begins with `.tmp-`.
"""

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dqn_tf.support.errors import UserError

HIDDEN = ".tmp-"  # how the name of whatever is not whole begins


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a directory to, which then takes the place of `path`.

    After an error in the block, `path` is as it was and what was written is deleted. Of a link, the
    file that it names is replaced. What is no file, as /dev/null or a pipe, is written to instead.
    """
    if path.is_symlink() or path.exists():
        if _is_stream(path):
            with _written_to(path) as aside:
                yield aside
            return
        path = Path(os.path.realpath(path))
    with unfinished(path.parent, path.suffix) as aside, unfinished(path.parent) as old:
        yield aside
        sync(aside)
        if aside.is_file() and path.is_file():
            shutil.copymode(path, aside)
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


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a UserError that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from error


def moved(path: Path, beside: Path, now: Path) -> Path:
    """Return where `path` is if what held it and `beside` was moved as a whole.

    `beside`, which is absolute, is now at `now`. Return `path` as it is if nothing says that it was
    moved.
    """
    now = Path(os.path.abspath(now))
    if now == beside or not path.is_absolute() or not beside.is_absolute():
        return path
    common = Path(os.path.commonpath([path, beside]))
    inner = beside.relative_to(common).parts
    outer = now.parts[: len(now.parts) - len(inner)]
    if not outer or now.parts != (*outer, *inner):
        return path
    return Path(*outer) / path.relative_to(common)


def reason_of(message: str) -> str:
    """Return what TensorFlow says of a file, without the operation that failed.

    `{{function_node ...}} x; No space left on device [Op:SaveV2]` → `x; No space left on device`.
    """
    first = message.rpartition("}} ")[2].splitlines()[0]
    return first.partition(" [Op:")[0]


def require_directory(flag: str, path: Path) -> None:
    """Raise UserError if `path`, the value of `--flag`, is no directory and cannot be made one."""
    place = next(place for place in (path, *path.parents, Path(".")) if os.path.lexists(place))
    if place.is_symlink() and not place.exists():
        reason = f"{place} is a link to {os.readlink(place)}, which is not there"
    elif not place.is_dir():
        reason = f"{place} is not a directory"
    elif not os.access(place, os.W_OK | os.X_OK):
        reason = f"{place} is not a directory that may be written to"
    else:
        return
    raise UserError(f"--{flag}={path} cannot be written: {reason}.")


def require_file(flag: str, path: Path) -> None:
    """Raise UserError if `path`, the value of `--flag`, is no file and cannot be made one."""
    real = Path(os.path.realpath(path))
    if path.is_dir():
        reason = "it is a directory"
    elif _is_stream(path):
        return
    elif not real.parent.is_dir():
        directory = real.parent if path.is_symlink() else path.parent
        reason = f"there is no directory {directory}"
    elif not os.access(real.parent, os.W_OK | os.X_OK):
        reason = f"{real.parent} is not a directory that may be written to"
    else:
        return
    raise UserError(f"--{flag}={path} cannot be written: {reason}.")


def sync(path: Path) -> None:
    """Wait until a file, or a directory and everything in it, is on the disk."""
    if path.is_dir():
        for inner in path.rglob("*"):
            _sync_entry(inner)
    _sync_entry(path)


def _is_stream(path: Path) -> bool:
    """Tell whether a path leads to a device, a pipe, or an open descriptor of a process."""
    if str(path.absolute()).startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def _written_to(stream: Path) -> Iterator[Path]:
    """Yield a path to write a file to, whose bytes then go to the stream."""
    with tempfile.TemporaryDirectory(prefix="dqn_tf-") as directory:
        aside = Path(directory) / f"file{stream.suffix}"
        yield aside
        with open(_open_stream(stream), "wb") as out:
            out.write(aside.read_bytes())


def _open_stream(stream: Path) -> int:
    """Return a new descriptor of a stream; what is open already goes on where it stands."""
    path = str(stream.absolute())
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if path == f"/dev/{name}":
            path = f"/dev/fd/{number}"
    directory, name = os.path.split(path)
    if directory in ("/dev/fd", "/proc/self/fd") and name.isdigit():
        return os.dup(int(name))
    return os.open(stream, os.O_WRONLY | os.O_APPEND)


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
