"""Checkpoints: a numbered directory, complete or not there at all.

    checkpoints/20000/manifest.json   schema, JSON state, SHA-256 and size of each file beside it,
                                      and its own SHA-256
    checkpoints/20000/state.npz       arrays: networks, optimizer, running episodes
    checkpoints/20000/best.npz        the best weights so far
    checkpoints/20000/finalists.npz   weights that may prove better at the end
    checkpoints/20000/replay.npz      the replay's rows

A checkpoint is written aside, synced and renamed, so a crash at any moment leaves the previous ones
as they were. There is no pointer file that could be wrong: the last checkpoint is the newest
directory whose files match its manifest. Arrays are plain npz, read without pickle. No array is
allocated before its header has been compared with the file's size. Nothing here needs TensorFlow.
"""

import contextlib
import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import delete, replaced, sweep

SCHEMA = 1
KEEP = 2  # checkpoints
MANIFEST = "manifest.json"
REPLAY = "replay.npz"
FINALISTS = "finalists.npz"  # of the highest evaluations
FEATURES = "features.npz"  # only there to save time
CHUNK_BYTES = 1 << 20
Arrays = dict[str, np.ndarray]


class Archive(Mapping[str, np.ndarray]):
    """An npz file whose arrays are read one by one, so that a large replay is never held twice.

    The file stays open until `close`: what was checked can be read even if it is deleted meanwhile.
    Raises UserError at once on anything but plain arrays that the file is large enough to hold.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        with _refusal(path):
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("it claims to hold more than its own size")
            for member in members:
                _require_plain(self._archive, member)
                self._members[member.filename.removesuffix(".npy")] = member

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        with _refusal(self._path), self._archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def close(self) -> None:
        """Close the file. If it has been deleted, its disk space becomes free."""
        self._archive.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole, but for a replay that may be lost."""

    path: Path
    state: dict[str, Any]
    files: dict[str, Arrays]  # by name, without the replay's
    replay: Archive | None  # the replay's rows; None if the file is not there

    @property
    def step(self) -> int:
        """Where the run's clock stood: updates on logged data first, then environment steps."""
        return int(self.path.name)


def save(
    directory: Path,
    step: int,
    state: Mapping[str, Any],
    files: Mapping[str, Mapping[str, np.ndarray]],
) -> Path:
    """Write checkpoint `step`, keep the newest KEEP, and sweep what crashes left behind.

    Raises OSError.
    """
    final = directory / str(step)
    # one of this step may be there: a broken one, or the run was taken back to an earlier step
    with replaced(final) as aside:
        aside.mkdir(parents=True)
        listing = {}
        for name, arrays in files.items():
            path = aside / name
            with path.open("wb") as file:
                np.savez(file, **dict[str, Any](arrays))
            listing[name] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
        manifest = {"schema": SCHEMA, "step": step, "files": listing, "state": state}
        with (aside / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(manifest | {"sha256": _json_sha256(manifest)}, file, indent=1)
    _sweep(directory, step)
    return final


def load_latest(
    directory: Path, say: Callable[[str], Any] = print, at_most: float = math.inf
) -> Checkpoint:
    """Read the newest whole checkpoint up to step `at_most`; `say` a warning for each broken one.

    Raises UserError if none is left.
    """
    candidates = [step for step in steps(directory) if step <= at_most]
    for step in reversed(candidates):
        try:
            return load(directory / str(step))
        except _Broken as reason:
            say(f"warning: {reason} Trying the checkpoint before it.")
    if candidates:
        raise UserError(
            f"None of the {len(candidates)} checkpoints in {directory} can be read. Start anew with"
            " another --run_dir."
        )
    raise UserError(
        f"{directory} holds no checkpoint: the run was stopped before its first one. Start anew"
        " with another --run_dir."
    )


def steps(directory: Path) -> list[int]:
    """List the steps that have a checkpoint, whole or not, ascending."""
    if not directory.is_dir():
        return []
    names = [path.name for path in directory.iterdir() if path.is_dir()]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def load(path: Path) -> Checkpoint:
    """Read one checkpoint and compare every file with its manifest.

    A lost replay is left to the caller to judge, and features can be made again. Raises UserError
    on another schema.
    """
    listing, state = _read_manifest(path / MANIFEST)
    files = {}
    replay = None
    for name, expected in listing.items():
        file = path / name
        if name in (REPLAY, FEATURES) and not file.exists():
            continue
        _require_unchanged(file, expected)
        if name == REPLAY:
            replay = Archive(file)
        else:
            files[name] = read_arrays(file)
    return Checkpoint(path, state, files, replay)


def read_arrays(path: Path) -> Arrays:
    """Read the arrays of an npz file.

    Raises UserError on anything but plain arrays that the file is large enough to hold.
    """
    return dict(Archive(path))


class _Broken(Exception):
    """This checkpoint cannot be used; an older one may."""


def _read_manifest(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the listing of files and the JSON state of a manifest that is whole."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        sha256 = manifest.pop("sha256", None)
        schema, files, state = (manifest[name] for name in ("schema", "files", "state"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _Broken(f"{path} cannot be read ({type(error).__name__}).") from error
    is_whole = sha256 == _json_sha256(manifest)
    # a manifest of another schema may have no checksum of its own
    if not is_whole and (sha256 is not None or schema == SCHEMA):
        raise _Broken(f"{path} is damaged.")
    if schema != SCHEMA:
        raise UserError(
            f"{path.parent} was written with checkpoint schema {schema}; this version of dqn_tf"
            f" reads schema {SCHEMA}. Go on with the version that wrote it."
        )
    return files, state


def _require_unchanged(file: Path, expected: Mapping[str, Any]) -> None:
    if not file.exists():
        raise _Broken(f"{file} is missing.")
    if file.stat().st_size != expected["bytes"] or _sha256(file) != expected["sha256"]:
        raise _Broken(f"{file} is damaged.")


def _require_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"'{member.filename}' is compressed")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(stream)
        needed = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "biuf" or stream.tell() + needed != member.file_size:
            raise ValueError(
                f"'{member.filename}' is not an array of numbers of the size that its header claims"
            )


@contextlib.contextmanager
def _refusal(path: Path) -> Iterator[None]:
    """Turn whatever somebody else's file makes zipfile and NumPy raise into a UserError."""
    try:
        yield
    except Exception as error:
        raise UserError(
            f"{path} is refused: {error}. It must hold plain arrays, as dqn_tf writes them."
        ) from error


def _sweep(directory: Path, newest: int) -> None:
    kept = [step for step in steps(directory) if step <= newest][-KEEP:]
    for step in steps(directory):
        if step not in kept:  # outdated, or later than the step this run was resumed from
            with contextlib.suppress(OSError):
                delete(directory / str(step))
    sweep(directory)


def _json_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()
