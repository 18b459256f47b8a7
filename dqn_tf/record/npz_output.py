"""Writes recorded episodes as an npz file in the schema that training reads.

It is not compressed, so that it is read as fast as it lies on the disk.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.record.play import Episode
from dqn_tf.support import files

Rows = Callable[[Episode, int], Any]  # of an episode and its number


def write(path: Path, episodes: Sequence[Episode], spaces: Spaces) -> None:
    """Write a file, whole or not at all. Raises UserError if it cannot be written."""
    with (
        files.writing(path),
        files.replaced(path) as aside,
        zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name, shape, dtype, rows in columns(spaces):
            count = len(episodes)
            if not name.startswith("final"):
                count = sum(map(len, episodes))
            arrays = (
                np.asarray(rows(episode, number), dtype) for number, episode in enumerate(episodes)
            )
            _write_column(archive, name, (count, *shape), np.dtype(dtype), arrays)


def columns(spaces: Spaces) -> Iterator[tuple[str, tuple[int, ...], str, Rows]]:
    """Yield each column's name, the shape of a row, its dtype, and an episode's rows of it."""
    observation = (spaces.observation_shape, spaces.observation_dtype)
    yield "episode", (), "int64", lambda episode, number: np.full(len(episode), number)
    yield "observation", *observation, lambda episode, _: episode.observations[:-1]
    yield "action", (), "int32", lambda episode, _: episode.actions
    yield "reward", (), "float64", lambda episode, _: episode.rewards
    yield "terminated", (), "bool", lambda episode, _: ended(episode, episode.terminated)
    yield "truncated", (), "bool", lambda episode, _: ended(episode, not episode.terminated)
    yield "propensity", (), "float64", lambda episode, _: episode.propensities
    yield "final_observation", *observation, lambda episode, _: episode.observations[-1:]
    if spaces.masked:
        mask = ((spaces.actions,), "bool")
        yield "action_mask", *mask, lambda episode, _: episode.masks[:-1]
        yield "final_action_mask", *mask, lambda episode, _: episode.masks[-1:]


def ended(episode: Episode, is_so: bool) -> np.ndarray:
    """Return whether each step ended the episode so, [T] bool."""
    rows = np.zeros(len(episode), bool)
    rows[-1] = is_so
    return rows


def _write_column(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    arrays: Iterable[np.ndarray],
) -> None:
    """Write the rows of one episode after the other, without a copy of them all."""
    head = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    # always the same date, so that the same episodes are the same file
    member = zipfile.ZipInfo(f"{name}.npy")
    with archive.open(member, "w", force_zip64=True) as stream:
        np.lib.format.write_array_header_1_0(stream, head)
        for array in arrays:
            stream.write(np.ascontiguousarray(array).tobytes())
