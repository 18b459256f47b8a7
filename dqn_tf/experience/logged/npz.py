"""Reads logged episodes of npz files, the open schema of docs/offline.md.

An npz file is a zip file of npy files, one for each column. They are read piece by piece into the
arrays that are kept, so that neither another dtype nor a check needs a second copy. Pickled objects
are refused by the type that the head of a column names: nothing is opened that could run a program.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import columns
from dqn_tf.experience.logged.building import (
    EpisodesBuilder,
    Part,
    common_rows,
    require_columns,
    require_shapes,
)
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError, describe_error

PIECE_BYTES = 1 << 20
# What zipfile and NumPy raise on files that are damaged or were made otherwise. Where Python was
# built without the module of a compression, zipfile has None in its place.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    *(
        getattr(getattr(zipfile, module, None), error, zlib.error)
        for module, error in (("lzma", "LZMAError"), ("zstd", "ZstdError"))
    ),
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)


class Head(NamedTuple):
    """What the first bytes of a column say of it."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype


class NpzFile:
    """The columns of one file, none of which is read yet."""

    def __init__(self, path: Path, spaces: Spaces) -> None:
        """Raise UserError if it is damaged, or its columns do not fit the spaces or each other."""
        self.path = path
        self.heads: dict[str, Head] = {}
        with self._reading(), zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name == member.filename:
                    raise UserError(f"{path} holds {name}, which is no column: no npy file.")
                if name in self.heads:
                    raise UserError(f"{path} holds the column {name} twice.")
                with archive.open(member) as stream:
                    self.heads[name] = self._head(stream, name, member.file_size)
        require_columns(str(path), self.heads, spaces)
        shapes = {name: head.shape for name, head in self.heads.items()}
        require_shapes(str(path), shapes, spaces)
        self.steps = common_rows(str(path), shapes, columns.OF_STEPS)
        self.finals = common_rows(str(path), shapes, columns.OF_EPISODES)

    def pieces(self, name: str) -> Iterator[np.ndarray]:
        """Yield a column's rows in order, about a megabyte at a time."""
        head = self.heads[name]
        with (
            self._reading(),
            zipfile.ZipFile(self.path) as archive,
            archive.open(f"{name}.npy") as stream,
        ):
            self._head(stream, name)
            if head.is_fortran and len(head.shape) > 1:
                yield self._whole(stream, head)
                return
            row_bytes = head.dtype.itemsize * int(np.prod(head.shape[1:]))
            at_once = max(1, PIECE_BYTES // row_bytes)
            for begin in range(0, head.shape[0], at_once):
                rows = min(at_once, head.shape[0] - begin)
                values = np.frombuffer(_exactly(stream, rows * row_bytes), head.dtype)
                yield values.reshape(rows, *head.shape[1:])

    def _whole(self, stream: IO[bytes], head: Head) -> np.ndarray:
        """Return a column whose last axis comes first, as Fortran's arrays lie in a file."""
        content = _exactly(stream, head.dtype.itemsize * int(np.prod(head.shape)))
        return np.frombuffer(content, head.dtype).reshape(head.shape, order="F")

    def _head(self, stream: IO[bytes], name: str, size: int | None = None) -> Head:
        """Read the first bytes of a column; `size` is that of all its bytes."""
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            head = Head(*np.lib.format.read_array_header_1_0(stream))
        else:
            head = Head(*np.lib.format.read_array_header_2_0(stream))
        if head.dtype.hasobject:
            raise UserError(
                f"{self.path}, column {name}: it holds pickled objects, which are never opened:"
                " save an array of numbers."
            )
        if not head.dtype.itemsize:  # no bytes, however many rows it claims
            raise UserError(
                f"{self.path}, column {name}: it is of type {head.dtype}, and must hold numbers."
            )
        content = head.dtype.itemsize * int(np.prod([*head.shape], dtype=object))
        if size is not None and stream.tell() + content != size:
            raise ValueError(f"column {name} is not as long as it says")
        return head

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be read: {error.strerror or describe_error(error)}."
            ) from error
        except DAMAGE as error:
            raise UserError(
                f"{self.path} is damaged, or no npz file: {describe_error(error)}."
            ) from error


def load(source: str, paths: Sequence[Path], spaces: Spaces) -> LoggedEpisodes:
    """Read files, whose episodes follow each other. Raises UserError."""
    archives = [NpzFile(path, spaces) for path in paths]
    names = archives[0].heads
    for other in archives[1:]:
        for name in set(names) ^ set(other.heads):
            holder, lacks = (archives[0], other) if name in names else (other, archives[0])
            raise UserError(
                f"{lacks.path} has no column {name}, and {holder.path} has: all files of {source}"
                " need the same ones."
            )
    parts = [Part(str(file.path), file.steps, file.finals) for file in archives]
    builder = EpisodesBuilder(spaces, source, parts, names)
    for archive, part in zip(archives, parts, strict=True):
        if not part.steps:
            raise UserError(f"{archive.path} holds no steps.")
        builder.begin(part)
        for name in columns.KNOWN:
            if name in names:
                for values in archive.pieces(name):
                    builder.put(name, values)
        builder.end()
    return builder.finish()


def _exactly(stream: IO[bytes], size: int) -> bytearray:
    """Read so many bytes. Raises EOFError if there are fewer."""
    content = bytearray(size)
    view = memoryview(content)
    filled = 0
    while filled < size:
        count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError("it ends too early")
        filled += count
    return content
