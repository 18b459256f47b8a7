"""Experience replay: preallocated columns, the oldest row overwritten, a generator of its own.

NumPy only: no TensorFlow, no gamma. A column is an array [capacity, ...]; a sample is one fancy
index per column. Which rows (`draw`) and what is in them (`take`) are two steps, so that the second
can be done in another thread.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dqn_tf.experience.frames import Frames
from dqn_tf.experience.sum_tree import SumTree

OBSERVATIONS = ("observation", "next_observation")
SMALLEST_PRIORITY = 1e-6  # so that a transition without error can still be drawn


class UniformReplay:
    """The newest `capacity` transitions, sampled uniformly with replacement (Lin 1992; Mnih et al.
    2015).

    With `frames`, the observations of its rows are numbers of frames kept there, and a row goes
    once one of them has been overwritten: before its time where episodes are shorter than
    `frames.SPARE` steps.
    """

    def __init__(
        self,
        capacity: int,
        columns: Mapping[str, tuple[tuple[int, ...], str]],
        generator: np.random.Generator,
        frames: Frames | None = None,
    ) -> None:
        self.capacity, self.frames = capacity, frames
        self.columns = {
            name: np.zeros((capacity, *shape), dtype) for name, (shape, dtype) in columns.items()
        }
        self.generator = generator
        self.added = 0  # rows added so far; row i of them lies at i modulo capacity
        self.first = 0  # rows before this one are gone, even if not yet overwritten
        # of each row, its frame that will be overwritten first
        self._oldest = np.zeros(0 if frames is None else capacity, np.int64)

    def __len__(self) -> int:
        return self.added - max(self.first, self.added - self.capacity)

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Appends rows, each column [n, ...], over the oldest ones."""
        count = len(next(iter(rows.values())))
        newest = {name: values[-self.capacity :] for name, values in rows.items()}
        self.added += count
        places = np.arange(self.added - min(count, self.capacity), self.added) % self.capacity
        for name, column in self.columns.items():
            column[places] = newest[name]
        self._let_go(places)

    def sample(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """`updates` independent batches: each column [updates, batch_size, ...]."""
        return self.take(self.draw(updates, batch_size))

    def draw(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """Which rows make the batches, for `take`:

        `place` [updates, batch_size], and what comes with having been drawn.
        """
        rows = self.generator.integers(len(self), size=(updates, batch_size))
        return {
            "place": (
                rows
                if self.first <= self.added - self.capacity
                else (self.first + rows) % self.capacity
            )
        }

    def take(self, drawn: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The batches that were drawn, or any part [..., batch_size] of them."""
        # a third of the time of column[...]
        batch = {name: column.take(drawn["place"], axis=0) for name, column in self.columns.items()}
        batch |= {name: drawn[name] for name in drawn if name != "place"}
        return (
            batch
            if self.frames is None
            else batch | {name: self.frames.stacks(batch[name]) for name in OBSERVATIONS}
        )

    def observations(self, most: int) -> np.ndarray:
        """At most so many of the observations that are held, evenly spaced, [n, *shape]."""
        rows = (
            max(self.first, self.added - self.capacity) + spread(len(self), most)
        ) % self.capacity
        held = self.columns["observation"][rows]
        return held if self.frames is None else self.frames.stacks(held)

    def rows(self) -> dict[str, np.ndarray]:
        """The filled part of each column, as it lies:

        with `state`, all that `restore` needs. No copies.
        """
        filled = {name: column[: self._filled] for name, column in self.columns.items()}
        return filled if self.frames is None else filled | self.frames.rows()

    def state(self) -> dict[str, Any]:
        """What lies beside the rows."""
        numbers = {"added": self.added, "capacity": self.capacity}
        return numbers if self.frames is None else numbers | {"frames": self.frames.state()}

    def restore(
        self, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Takes over what `rows` and `state` gave; of a larger buffer, the newest rows that fit.
        Returns their places here and there.

        With an unchanged capacity every row lies where it lay, so the same generator draws the same
        batches.
        """
        self.added, places, sources = kept(
            int(state["added"]), int(state["capacity"]), self.capacity
        )
        for name, column in self.columns.items():
            column[places] = rows[name][sources]
        if self.frames is not None:
            self.frames.restore(rows, state["frames"])
        self._let_go(places)
        return places, sources

    @property
    def _filled(self) -> int:
        return min(self.added, self.capacity)

    def _let_go(self, written: np.ndarray) -> None:
        """After rows were written at these places:

        lets go of all rows of which a frame is no longer there, and of those before them.
        """
        if self.frames is None:
            return
        numbers = np.concatenate([self.columns[name][written] for name in OBSERVATIONS], axis=1)
        self._oldest[written] = np.where(numbers < 0, self.frames.added, numbers).min(axis=1)
        gone = np.flatnonzero(self._oldest[: self._filled] < self.frames.first)
        if len(gone):
            # the row that lies there
            newest = self.added - 1 - (self.added - 1 - gone) % self.capacity
            self.first = max(self.first, int(newest.max()) + 1)


class PrioritizedReplay(UniformReplay):
    """Sampled with probability P(i) = p_i^alpha / Σ p^alpha (Schaul et al. 2016, equation 1).

    A new transition has the largest priority seen. `sample` draws stratified and adds the column
    `weight`; `update_priorities` then takes the errors of what was sampled last. A block's batches
    are all drawn before its first update, so within a block of more than one update the priorities
    are those of the block's start.
    """

    def __init__(
        self,
        capacity: int,
        columns: Mapping[str, tuple[tuple[int, ...], str]],
        generator: np.random.Generator,
        alpha: float,
        beta: float = 1.0,
        frames: Frames | None = None,
    ) -> None:
        super().__init__(capacity, columns, generator, frames)
        self.alpha, self.beta = alpha, beta
        self.largest = 1.0  # of the priorities p, before alpha
        self._tree = SumTree(capacity)
        self._sampled = np.zeros((0, 0), np.int64)

    def add(self, rows: Mapping[str, np.ndarray]) -> None:
        """Appends rows, each column [n, ...], over the oldest ones, with the largest priority seen."""
        before, first = self.added, self.first
        super().add(rows)
        newest = np.arange(max(before, self.added - self.capacity), self.added) % self.capacity
        self._tree.set(newest, np.full(len(newest), self.largest**self.alpha))
        self._never_draw(first)

    def draw(self, updates: int, batch_size: int) -> dict[str, np.ndarray]:
        """As of `UniformReplay`, and `weight` float32 [updates, batch_size]:

        (N·P(i))^-beta over its batch's largest.
        """
        strata = (np.arange(batch_size) + self.generator.random((updates, batch_size))) / batch_size
        total = self._tree.total
        self._sampled = self._tree.find((strata * total).reshape(-1)).reshape(updates, batch_size)
        probability = self._tree.get(self._sampled) / total
        weight = (len(self) * probability) ** -self.beta
        weight /= weight.max(axis=1, keepdims=True)
        return {"place": self._sampled, "weight": weight.astype(np.float32)}

    def update_priorities(self, errors: np.ndarray) -> None:
        """|error| [U, B] of the first U of the batches sampled last becomes their priority; where a
        row was drawn twice, the last.
        """
        priorities = np.abs(errors, dtype=np.float64).reshape(-1) + SMALLEST_PRIORITY
        self.largest = max(self.largest, float(priorities.max()))
        self._tree.set(self._sampled[: len(errors)].reshape(-1), priorities**self.alpha)

    def rows(self) -> dict[str, np.ndarray]:
        """As of `UniformReplay`, and the priorities, to the power of alpha."""
        return super().rows() | {"priority": self._tree.get(np.arange(self._filled))}

    def state(self) -> dict[str, Any]:
        """As of `UniformReplay`, and the largest priority."""
        return super().state() | {"largest": self.largest}

    def restore(
        self, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """As of `UniformReplay`, with the priorities."""
        places, sources = super().restore(rows, state)
        self.largest, self._tree = state["largest"], SumTree(self.capacity)
        self._tree.set(places, rows["priority"][sources])
        self._never_draw(0)
        return places, sources

    def _never_draw(self, before: int) -> None:
        """Takes the priority from rows that went before their time, those from row `before` on."""
        gone = np.arange(max(before, self.added - self.capacity), self.first) % self.capacity
        if len(gone):
            self._tree.set(gone, np.zeros(len(gone)))


def kept(added: int, capacity: int, new_capacity: int) -> tuple[int, np.ndarray, np.ndarray]:
    """What a buffer of `new_capacity` takes over from one of `capacity` to which `added` rows were
    added: its own count, places, sources.
    """
    number = np.arange(added - min(added, capacity, new_capacity), added)
    # In a buffer of another size the rows are counted anew: rows that were overwritten long ago
    # must not seem to be there.
    count = added if capacity == new_capacity else len(number)
    return count, np.arange(count - len(number), count) % new_capacity, number % capacity


def spread(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def bytes_per_row(columns: Mapping[str, tuple[tuple[int, ...], str]]) -> int:
    """Memory that one transition takes."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
