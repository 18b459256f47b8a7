"""Experience replay: preallocated columns, the oldest row overwritten, a generator of its own.

NumPy only: no TensorFlow, no gamma. A column is an array [capacity, ...]; a sample is one fancy index per column.
"""

from collections.abc import Mapping

import numpy as np

from dqn_tf.sumtree import SumTree

SMALLEST_PRIORITY = 1e-6  # so that a transition without error can still be drawn


class UniformReplay:
    """The newest `capacity` transitions, sampled uniformly with replacement (Lin 1992; Mnih et al. 2015)."""

    def __init__(self, capacity: int, columns: Mapping[str, tuple[tuple[int, ...], str]], generator: np.random.Generator) -> None:
        self.capacity = capacity
        self.columns = {name: np.zeros((capacity, *shape), dtype) for name, (shape, dtype) in columns.items()}
        self.generator = generator
        self.added = 0  # rows added so far; row i of them lies at i modulo capacity

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Appends rows, each column [n, ...], over the oldest ones."""
        count = len(next(iter(rows.values())))
        newest = {name: values[-self.capacity:] for name, values in rows.items()}
        self.added += count
        places = np.arange(self.added - min(count, self.capacity), self.added) % self.capacity
        for name, column in self.columns.items():
            column[places] = newest[name]

    def sample(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """`updates` independent batches: each column [updates, batch_size, ...]."""
        rows = self.generator.integers(len(self), size=(updates, batch_size))
        return {name: column[rows] for name, column in self.columns.items()}

    def rows(self) -> dict[str, np.ndarray]:
        """The filled part of each column, as it lies: with `state`, all that `restore` needs. No copies."""
        return {name: column[:len(self)] for name, column in self.columns.items()}

    def state(self) -> dict[str, float]:
        """What lies beside the rows."""
        return {"added": self.added, "capacity": self.capacity}

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Takes over what `rows` and `state` gave; of a larger buffer, the newest rows that fit. Returns their places here and there.

        With an unchanged capacity every row lies where it lay, so the same generator draws the same batches.
        """
        self.added, places, sources = kept(int(state["added"]), int(state["capacity"]), self.capacity)
        for name, column in self.columns.items():
            column[places] = rows[name][sources]
        return places, sources


class PrioritizedReplay(UniformReplay):
    """Sampled with probability P(i) = p_i^alpha / Σ p^alpha (Schaul et al. 2016, equation 1).

    A new transition has the largest priority seen. `sample` draws stratified and adds the column `weight`; `update_priorities` then
    takes the errors of what was sampled last. A block's batches are all drawn before its first update, so within a block of more
    than one update the priorities are those of the block's start.
    """

    def __init__(self, capacity: int, columns: Mapping[str, tuple[tuple[int, ...], str]], generator: np.random.Generator,
                 alpha: float, beta: float = 1.0) -> None:
        super().__init__(capacity, columns, generator)
        self.alpha, self.beta = alpha, beta
        self.largest = 1.0  # of the priorities p, before alpha
        self._tree = SumTree(capacity)
        self._sampled = np.zeros((0, 0), np.int64)

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Appends rows, each column [n, ...], over the oldest ones, with the largest priority seen."""
        before = self.added
        super().add(rows)
        newest = np.arange(max(before, self.added - self.capacity), self.added) % self.capacity
        self._tree.set(newest, np.full(len(newest), self.largest**self.alpha))

    def sample(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """`updates` batches, each column [updates, batch_size, ...], and `weight` float32: (N·P(i))^-beta over its batch's largest."""
        strata = (np.arange(batch_size) + self.generator.random((updates, batch_size))) / batch_size
        total = self._tree.total
        self._sampled = self._tree.find((strata * total).reshape(-1)).reshape(updates, batch_size)
        probability = self._tree.get(self._sampled) / total
        weight = (len(self) * probability) ** -self.beta
        weight /= weight.max(axis=1, keepdims=True)
        return {name: column[self._sampled] for name, column in self.columns.items()} | {"weight": weight.astype(np.float32)}

    def update_priorities(self, errors: np.ndarray) -> None:
        """|error| [U, B] of the first U of the batches sampled last becomes their priority; where a row was drawn twice, the last."""
        priorities = np.abs(errors, dtype=np.float64).reshape(-1) + SMALLEST_PRIORITY
        self.largest = max(self.largest, float(priorities.max()))
        self._tree.set(self._sampled[:len(errors)].reshape(-1), priorities**self.alpha)

    def rows(self) -> dict[str, np.ndarray]:
        """As of `UniformReplay`, and the priorities, to the power of alpha."""
        return super().rows() | {"priority": self._tree.get(np.arange(len(self)))}

    def state(self) -> dict[str, float]:
        """As of `UniformReplay`, and the largest priority."""
        return super().state() | {"largest": self.largest}

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """As of `UniformReplay`, with the priorities."""
        places, sources = super().restore(rows, state)
        self.largest, self._tree = state["largest"], SumTree(self.capacity)
        self._tree.set(places, rows["priority"][sources])
        return places, sources


def kept(added: int, capacity: int, new_capacity: int) -> tuple[int, np.ndarray, np.ndarray]:
    """What a buffer of `new_capacity` takes over from one of `capacity` to which `added` rows were added: its own count, places, sources."""
    number = np.arange(added - min(added, capacity, new_capacity), added)
    # In a buffer of another size the rows are counted anew: rows that were overwritten long ago must not seem to be there.
    count = added if capacity == new_capacity else len(number)
    return count, np.arange(count - len(number), count) % new_capacity, number % capacity


def bytes_per_row(columns: Mapping[str, tuple[tuple[int, ...], str]]) -> int:
    """Memory that one transition takes."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
