"""Experience replay inside a compiled program.

One variable of packed rows, written a step of all environments at a time.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import transitions
from dqn_tf.experience.eviction import Fifo
from dqn_tf.experience.replay import spread

Columns = dict[str, np.ndarray]


class Packing:
    """How the transitions of K seeds with N environments each lie in one array.

    It is [rows, K · N · width] float32, a row for each step. A transition is packed into `width`
    numbers, so that a batch is one gather.
    """

    def __init__(self, capacity: int, num_envs: int, seeds: int, spaces: Spaces) -> None:
        self.num_envs = num_envs
        self.seeds = seeds
        # in the order in which they lie in a packed transition
        self._columns = transitions.columns(spaces)
        self._widths = [int(np.prod(shape)) for shape, _ in self._columns.values()]
        self.width = sum(self._widths)
        self.row_count = capacity // num_envs

    @property
    def shape(self) -> tuple[int, int]:
        """The array's shape."""
        return self.row_count, self.seeds * self.num_envs * self.width

    def shared_places(self, places: np.ndarray, seed: int) -> np.ndarray:
        """Map one seed's places, counted from 0, to places among the transitions of all seeds."""
        row, env = np.divmod(places, self.num_envs)
        return (row * self.seeds + seed) * self.num_envs + env

    def pack(self, row: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Pack columns [K · N, ...] into one row [1, K · N · width]."""
        transitions_count = self.seeds * self.num_envs
        numbers = [
            tf.reshape(tf.cast(row[name], tf.float32), (transitions_count, -1))
            for name in self._columns
        ]
        return tf.reshape(tf.concat(numbers, axis=1), (1, -1))

    def batch(self, packed: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the transitions at `places` [B] int32, as columns [B, ...] in replay's dtypes."""
        numbers = tf.gather(tf.reshape(packed, (-1, self.width)), places)  # [B, width]
        parts = tf.split(numbers, self._widths, axis=1)
        batch = {}
        for (name, (shape, dtype)), part in zip(self._columns.items(), parts, strict=True):
            batch[name] = tf.cast(tf.reshape(part, (-1, *shape)), dtype)
        return batch

    def unpack(self, numbers: np.ndarray) -> Columns:
        """Turn packed transitions [n, width] into columns [n, ...]."""
        parts = np.split(numbers, np.cumsum(self._widths)[:-1], axis=1)
        columns = {}
        for (name, (shape, dtype)), part in zip(self._columns.items(), parts, strict=True):
            columns[name] = part.reshape(-1, *shape).astype(dtype)
        return columns

    def numbers(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Turn columns [n, ...] into packed transitions [n, width]."""
        parts = []
        for name in self._columns:
            column = columns[name]
            parts.append(column.reshape(len(column), -1).astype(np.float32))
        return np.concatenate(parts, axis=1)


class GraphReplay:
    """One seed's replay: the newest transitions of its N environments, in its part of `packed`.

    It holds the largest multiple of N within the configured capacity.
    """

    def __init__(self, packing: Packing, packed: tf.Variable, seed: int) -> None:
        self._packing = packing
        self._packed = packed
        self._seed = seed
        self.row_count = packing.row_count
        self.capacity = packing.row_count * packing.num_envs
        self.added = 0  # transitions so far, a multiple of N; the i-th lies at i modulo capacity

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def observations(self, most: int) -> np.ndarray:
        """Return at most so many of the observations that are held, evenly spaced, [n, *shape]."""
        return self.rows()["observation"][spread(len(self), most)]

    def rows(self) -> Columns:
        """Return the filled part of each column, as it lies.

        With `state`, this is all that `restore` needs.
        """
        transitions = self._part(self._packed.numpy()).reshape(self.capacity, -1)
        return self._packing.unpack(transitions[: len(self)])

    def state(self) -> dict[str, int]:
        """Return what lies beside the rows."""
        return {"added": self.added, "capacity": self.capacity}

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Take over what `rows` and `state` returned; of a larger buffer, the newest rows that fit.

        With an unchanged capacity every row lies where it lay.
        """
        self.added, places, sources = Fifo(self.capacity).kept(
            int(state["added"]), int(state["capacity"])
        )
        transitions = np.zeros((self.capacity, self._packing.width), np.float32)
        transitions[places] = self._packing.numbers(rows)[sources]
        contents = np.array(self._packed.numpy())
        self._part(contents)[...] = transitions.reshape(self.row_count, -1)
        self._packed.assign(contents)

    def _part(self, contents: np.ndarray) -> np.ndarray:
        """Return this seed's part [rows, N · width] of all seeds' contents, as a view."""
        by_seed = contents.reshape(self.row_count, self._packing.seeds, -1)
        return by_seed[:, self._seed]
