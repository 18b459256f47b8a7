"""Experience replay: preallocated columns, the oldest row overwritten, a generator of its own.

NumPy only: no TensorFlow, no gamma. A column is an array [capacity, ...]; a sample is one fancy index per column.
"""

from collections.abc import Mapping

import numpy as np


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
        """The filled part of each column, as it lies: with `added` and `capacity`, all that `restore` needs. No copies."""
        return {name: column[:len(self)] for name, column in self.columns.items()}

    def restore(self, rows: Mapping[str, np.ndarray], added: int, capacity: int) -> None:
        """Takes over what `rows` gave in a buffer of that capacity; of a larger one, the newest that fit.

        With an unchanged capacity every row lies where it lay, so the same generator draws the same batches.
        """
        number = np.arange(added - min(added, capacity, self.capacity), added)
        # In a buffer of another size the rows are counted anew: rows that were overwritten long ago must not seem to be there.
        self.added = added if capacity == self.capacity else len(number)
        places = np.arange(self.added - len(number), self.added) % self.capacity
        for name, column in self.columns.items():
            column[places] = rows[name][number % capacity]


def bytes_per_row(columns: Mapping[str, tuple[tuple[int, ...], str]]) -> int:
    """Memory that one transition takes."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
