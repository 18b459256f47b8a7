"""Checkpoints: a numbered directory, complete or not there at all.

    checkpoints/20000/manifest.json   schema, JSON state, the SHA-256 and size of each file beside it, and its own SHA-256
    checkpoints/20000/state.npz       arrays: networks, optimizer, running episodes
    checkpoints/20000/replay.npz      the replay's rows

A checkpoint is written aside, synced and renamed, so a crash at any moment leaves the previous ones
as they were. There is no pointer file that could be wrong: the newest directory whose files match
its manifest is the last checkpoint. Arrays are plain npz, read without pickle, and no array is
allocated before its header has been compared with the file's size. NumPy only: nothing here needs
TensorFlow.
"""

import contextlib
import hashlib
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.support.errors import UserError
from dqn_tf.support.files import delete, replaced, sweep

SCHEMA = 1
KEEP = 2
REPLAY = "replay.npz"
Arrays = dict[str, np.ndarray]


class Checkpoint(NamedTuple):
    """A checkpoint that was read and found whole."""

    path: Path
    state: dict[str, Any]
    # None for a file that is not there; the replay's arrays are read as they are asked for
    files: dict[str, Mapping[str, np.ndarray] | None]

    @property
    def step(self) -> int:
        """The environment step at which it was taken."""
        return int(self.path.name)


def save(
    directory: Path,
    step: int,
    state: Mapping[str, Any],
    files: Mapping[str, Mapping[str, np.ndarray]],
) -> Path:
    """Writes checkpoint `step`, keeps the newest KEEP and sweeps what crashes left behind.

    Raises OSError.
    """
    final = directory / str(step)
    # one of this step may be there: a broken one, or the run was taken back to an earlier step
    with replaced(final) as aside:
        aside.mkdir(parents=True)
        listing = {}
        for name, arrays in files.items():
            with (aside / name).open("wb") as file:
                np.savez(file, **arrays)
            listing[name] = {
                "sha256": _sha256(aside / name),
                "bytes": (aside / name).stat().st_size,
            }
        manifest = {"schema": SCHEMA, "step": step, "files": listing, "state": state}
        with (aside / "manifest.json").open("w", encoding="utf-8") as file:
            json.dump(manifest | {"sha256": _json_sha256(manifest)}, file, indent=1)
    _sweep(directory, step)
    return final


def load_latest(directory: Path, say=print, at_most: float = math.inf) -> Checkpoint:
    """The newest whole checkpoint of step `at_most`; each broken one is named in a warning.

    Raises UserError if none is left.
    """
    found = [step for step in steps(directory) if step <= at_most]
    for step in reversed(found):
        try:
            return load(directory / str(step))
        except _Broken as reason:
            say(f"warning: {reason} Trying the checkpoint before it.")
    if found:
        raise UserError(
            f"None of the {len(found)} checkpoints in {directory} can be read. Start anew with"
            " another --run_dir."
        )
    raise UserError(
        f"{directory} holds no checkpoint: the run was stopped before its first one. Start anew"
        " with another --run_dir."
    )


def steps(directory: Path) -> list[int]:
    """The steps that have a checkpoint, whole or not, ascending."""
    return (
        sorted(
            int(path.name)
            for path in directory.glob("[0-9]*")
            if path.name.isdigit() and path.is_dir()
        )
        if directory.is_dir()
        else []
    )


def load(path: Path) -> Checkpoint:
    """One checkpoint, every file compared with its manifest.

    A lost replay is left to the caller to judge.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        claimed = manifest.pop("sha256", None)
        schema, listing, state = manifest["schema"], manifest["files"], manifest["state"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Broken(
            f"{path / 'manifest.json'} cannot be read ({type(error).__name__})."
        ) from error
    whole = claimed == _json_sha256(manifest)
    if not whole and (claimed is not None or schema == SCHEMA):
        raise _Broken(f"{path / 'manifest.json'} is damaged.")
    if schema != SCHEMA:
        raise UserError(
            f"{path} was written with checkpoint schema {schema}; this version of dqn_tf reads"
            f" schema {SCHEMA}. Go on with the version that wrote it."
        )
    files: dict[str, Mapping[str, np.ndarray] | None] = {}
    for name, expected in listing.items():
        file = path / name
        if not file.exists() and name == REPLAY:
            files[name] = None
            continue
        if (
            not file.exists()
            or file.stat().st_size != expected["bytes"]
            or _sha256(file) != expected["sha256"]
        ):
            raise _Broken(f"{file} is {'damaged' if file.exists() else 'missing'}.")
        files[name] = Archive(file) if name == REPLAY else read_arrays(file)
    return Checkpoint(path, state, files)


def read_arrays(path: Path) -> Arrays:
    """The arrays of an npz file.

    Raises UserError on anything but plain arrays that the file is large enough to hold.
    """
    return dict(Archive(path))


class Archive(Mapping):
    """An npz file whose arrays are read when they are asked for, so that taking over a large replay
    needs no second copy of it.

    The file is open until `close`: what was checked can be read even if it is deleted meanwhile.
    Raises UserError at once on anything but plain arrays that the file is large enough to hold.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._members = path, {}
        with _sentences(path):
            self._archive = zipfile.ZipFile(path)
            members = self._archive.infolist()
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("it claims to hold more than its own size")
            for member in members:
                _require_plain(self._archive, member)
                self._members[member.filename.removesuffix(".npy")] = member

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        with _sentences(self._path), self._archive.open(member) as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def close(self) -> None:
        """Lets go of the file; its place on the disk is free again if it has been deleted."""
        self._archive.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


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
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    # whatever a file made by somebody else can make zipfile and NumPy raise
    except Exception as error:
        raise UserError(
            f"{path} is refused: {error}. It must hold plain arrays, as dqn_tf writes them."
        ) from error


class _Broken(Exception):
    """This checkpoint cannot be used; an older one may."""


def _sweep(directory: Path, newest: int) -> None:
    kept = [step for step in steps(directory) if step <= newest][-KEEP:]
    for step in steps(directory):
        if step not in kept:  # outdated, or of a future that this run has just begun to live anew
            with contextlib.suppress(OSError):
                delete(directory / str(step))
    sweep(directory)


def _json_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
