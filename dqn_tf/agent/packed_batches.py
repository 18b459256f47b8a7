"""Columns of batches handed to TensorFlow as one array.

To make a tensor of an array and pass it to a compiled function takes as long for a hundred bytes as
for a hundred thousand. So small columns of four bytes a number are copied side by side first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent.column import Batch

Batches = Mapping[str, "np.ndarray | tf.Tensor"]  # columns [U, B, ...] by name

PACKED = "packed"
FOUR_BYTES = (np.dtype(np.float32), np.dtype(np.int32))
LARGEST = 2**18  # bytes of a column: more than that is copied more slowly than it is passed


class Place(NamedTuple):
    """Where a column lies in each row of the packed array."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]  # [U, B, ...]
    dtype: np.dtype


Layout = tuple[Place, ...]


def pack(batches: Batches) -> tuple[dict[str, np.ndarray | tf.Tensor], Layout]:
    """Copy small columns into one, [U, P] int32 by the name PACKED; leave the others as they are.

    The layout tells where they are. It is empty if there are none.
    """
    parts: list[np.ndarray] = []
    others: dict[str, np.ndarray | tf.Tensor] = {}
    layout: list[Place] = []
    width = 0
    for name, column in batches.items():
        is_small = isinstance(column, np.ndarray) and column.nbytes <= LARGEST
        if not is_small or column.dtype not in FOUR_BYTES:
            others[name] = column
            continue
        part = np.ascontiguousarray(column).view(np.int32).reshape(len(column), -1)
        start, width = width, width + part.shape[1]
        layout.append(Place(name, start, width, column.shape, column.dtype))
        parts.append(part)
    if parts:
        others[PACKED] = np.concatenate(parts, axis=1)
    return others, tuple(layout)


def unpack(columns: Batch, layout: Layout) -> Batch:
    """Return the columns that `pack` was given, as tensors."""
    batches = dict(columns)
    packed = batches.pop(PACKED, None)
    for place in layout:
        column = tf.reshape(packed[:, place.start : place.stop], place.shape)
        batches[place.name] = tf.bitcast(column, place.dtype)
    return batches
