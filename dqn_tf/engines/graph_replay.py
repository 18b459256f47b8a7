"""Experience replay inside a compiled program: one variable of packed rows, written a step of all environments at a time."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dqn_tf import transitions
from dqn_tf.envs.spaces import Spaces
from dqn_tf.replay import kept


class GraphReplay:
    """The newest transitions of N environments, in `rows` rows of one step each: `packed` [rows, N · width] float32.

    A transition is packed into `width` numbers, so that a batch is one gather. Holds the largest multiple of N within `capacity`.
    """

    def __init__(self, capacity: int, envs: int, spaces: Spaces) -> None:
        self.envs = envs
        self._columns = transitions.columns(spaces)  # in the order in which they lie in a packed transition
        self._widths = [int(np.prod(shape)) for shape, _ in self._columns.values()]
        self.width = sum(self._widths)
        self.row_count = capacity // envs
        self.capacity = self.row_count * envs
        self.packed = tf.Variable(tf.zeros((self.row_count, envs * self.width)))
        self.added = 0  # transitions so far, a multiple of N; the i-th lies at i modulo capacity

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def pack(self, row: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Columns [N, ...] → one row [1, N · width]."""
        numbers = [tf.reshape(tf.cast(row[name], tf.float32), (self.envs, -1)) for name in self._columns]
        return tf.reshape(tf.concat(numbers, axis=1), (1, -1))

    def batch(self, packed: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """The transitions at `places` [B] int32 of the contents [rows, N · width], as columns [B, ...] in replay's dtypes."""
        numbers = tf.gather(tf.reshape(packed, (self.capacity, self.width)), places)
        parts = zip(self._columns.items(), tf.split(numbers, self._widths, axis=1), strict=True)
        return {name: tf.cast(tf.reshape(part, (-1, *shape)), dtype) for (name, (shape, dtype)), part in parts}

    def observations(self, most: int) -> np.ndarray:
        """At most so many of the observations that are held, [n, *shape]."""
        return self.rows()["observation"][:most]

    def rows(self) -> dict[str, np.ndarray]:
        """The filled part of each column, as it lies: with `state`, all that `restore` needs."""
        filled = self.packed.numpy().reshape(self.capacity, self.width)[:len(self)]
        parts = zip(self._columns.items(), np.split(filled, np.cumsum(self._widths)[:-1], axis=1), strict=True)
        return {name: part.reshape(-1, *shape).astype(dtype) for (name, (shape, dtype)), part in parts}

    def state(self) -> dict[str, float]:
        """What lies beside the rows."""
        return {"added": self.added, "capacity": self.capacity}

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, float]) -> None:
        """Takes over what `rows` and `state` gave; of a larger buffer, the newest rows that fit.

        With an unchanged capacity every row lies where it lay.
        """
        self.added, places, sources = kept(int(state["added"]), int(state["capacity"]), self.capacity)
        numbers = [rows[name].reshape(len(rows[name]), -1).astype(np.float32) for name in self._columns]
        packed = np.zeros((self.capacity, self.width), np.float32)
        packed[places] = np.concatenate(numbers, axis=1)[sources]
        self.packed.assign(packed.reshape(self.packed.shape))
