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

    def unpack(self, transitions: np.ndarray) -> Columns:
        """Turn packed transitions [n, width] into columns [n, ...], as views where they can be."""
        columns = {}
        for name, part in self.parts(transitions).items():
            shape, dtype = self._columns[name]
            columns[name] = part.reshape(-1, *shape).astype(dtype, copy=False)
        return columns

    def parts(self, transitions: np.ndarray) -> Columns:
        """Return where each column's numbers are in packed transitions [n, width], as views."""
        parts = np.split(transitions, np.cumsum(self._widths)[:-1], axis=1)
        return dict(zip(self._columns, parts, strict=True))


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
        return self._packing.unpack(self._held()[spread(len(self), most)])["observation"]

    def rows(self) -> Columns:
        """Return the filled part of each column, as it lies.

        With `state`, this is all that `restore` needs. No copies but of what is no float32.
        """
        return self._packing.unpack(self._held())

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
        for name, part in self._packing.parts(transitions).items():
            part[places] = rows[name][sources].reshape(len(places), -1)
        width = transitions.size // self.row_count  # of this seed in a row
        start = self._seed * width
        self._packed[:, start : start + width].assign(transitions.reshape(-1, width))

    def _held(self) -> np.ndarray:
        """Return this seed's packed transitions [n, width], as they lie; not to be kept."""
        # what NumPy reads of a tensor, it does not copy
        contents = np.asarray(self._packed.read_value())
        by_seed = contents.reshape(self.row_count, self._packing.seeds, -1)
        return by_seed[:, self._seed].reshape(self.capacity, -1)[: len(self)]
