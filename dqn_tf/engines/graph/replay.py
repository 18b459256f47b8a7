"""Experience replay inside a compiled program:

one variable of packed rows, written a step of all environments at a time.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import transitions
from dqn_tf.experience.replay import kept_rows, spread


class Packing:
    """How the transitions of K seeds with N environments each lie in one array [rows, K · N ·
    width] float32, a row for each step.

    A transition is packed into `width` numbers, so that a batch is one gather.
    """

    def __init__(self, capacity: int, envs: int, seeds: int, spaces: Spaces) -> None:
        self.envs, self.seeds = envs, seeds
        # in the order in which they lie in a packed transition
        self._columns = transitions.columns(spaces)
        self._widths = [int(np.prod(shape)) for shape, _ in self._columns.values()]
        self.width = sum(self._widths)
        self.row_count = capacity // envs

    @property
    def shape(self) -> tuple[int, int]:
        """Of the array."""
        return self.row_count, self.seeds * self.envs * self.width

    def places(self, places: np.ndarray, seed: int) -> np.ndarray:
        """Where the transitions lie that one seed counts as its own from 0:

        among those of all seeds.
        """
        return (places // self.envs * self.seeds + seed) * self.envs + places % self.envs

    def pack(self, row: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Columns [K · N, ...] → one row [1, K · N · width]."""
        numbers = [
            tf.reshape(tf.cast(row[name], tf.float32), (self.seeds * self.envs, -1))
            for name in self._columns
        ]
        return tf.reshape(tf.concat(numbers, axis=1), (1, -1))

    def batch(self, packed: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        """The transitions at `places` [B] int32 of the array, as columns [B, ...] in replay's
        dtypes.
        """
        numbers = tf.gather(tf.reshape(packed, (-1, self.width)), places)
        parts = zip(self._columns.items(), tf.split(numbers, self._widths, axis=1), strict=True)
        return {
            name: tf.cast(tf.reshape(part, (-1, *shape)), dtype)
            for (name, (shape, dtype)), part in parts
        }

    def columns(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Packed transitions [n, width] → columns [n, ...]."""
        parts = zip(
            self._columns.items(),
            np.split(numbers, np.cumsum(self._widths)[:-1], axis=1),
            strict=True,
        )
        return {
            name: part.reshape(-1, *shape).astype(dtype) for (name, (shape, dtype)), part in parts
        }

    def numbers(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Columns [n, ...] → packed transitions [n, width]."""
        return np.concatenate(
            [
                columns[name].reshape(len(columns[name]), -1).astype(np.float32)
                for name in self._columns
            ],
            axis=1,
        )


class GraphReplay:
    """One seed's replay:

    the newest transitions of its N environments, in its part of `packed`. Holds the largest
    multiple of N within capacity.
    """

    def __init__(self, packing: Packing, packed: tf.Variable, seed: int) -> None:
        self._packing, self._packed, self._seed = packing, packed, seed
        self.row_count, self.capacity = packing.row_count, packing.row_count * packing.envs
        self.added = 0  # transitions so far, a multiple of N; the i-th lies at i modulo capacity

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def observations(self, most: int) -> np.ndarray:
        """At most so many of the observations that are held, evenly spaced, [n, *shape]."""
        return self.rows()["observation"][spread(len(self), most)]

    def rows(self) -> dict[str, np.ndarray]:
        """The filled part of each column, as it lies: with `state`, all that `restore` needs."""
        return self._packing.columns(
            self._own(self._packed.numpy()).reshape(self.capacity, -1)[: len(self)]
        )

    def state(self) -> dict[str, float]:
        """What lies beside the rows."""
        return {"added": self.added, "capacity": self.capacity}

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, float]) -> None:
        """Takes over what `rows` and `state` gave; of a larger buffer, the newest rows that fit.

        With an unchanged capacity every row lies where it lay.
        """
        self.added, places, sources = kept_rows(
            int(state["added"]), int(state["capacity"]), self.capacity
        )
        mine = np.zeros((self.capacity, self._packing.width), np.float32)
        mine[places] = self._packing.numbers(rows)[sources]
        contents = np.array(self._packed.numpy())
        self._own(contents)[...] = mine.reshape(self.row_count, -1)
        self._packed.assign(contents)

    def _own(self, contents: np.ndarray) -> np.ndarray:
        """This seed's part [rows, N · width] of all, as a view."""
        return contents.reshape(self.row_count, self._packing.seeds, -1)[:, self._seed]
