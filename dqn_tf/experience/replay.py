"""Experience replay: preallocated columns, a full one's rows overwritten, its own generator.

NumPy only: no TensorFlow, no gamma. A column is an array [capacity, ...]; a sample is one fancy
index per column. Which rows (`draw`) and what is in them (`take`) are two steps, so that the second
can be done in another thread.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dqn_tf.experience.eviction import Eviction, Fifo
from dqn_tf.experience.frames import Frames
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.whole_episodes import beginnings
from dqn_tf.support.errors import UserError

OBSERVATIONS = ("observation", "next_observation")

Columns = dict[str, np.ndarray]
Rows = Mapping[str, np.ndarray]
ColumnTypes = Mapping[str, tuple[tuple[int, ...], str]]  # shape and dtype of a row, by column


class UniformReplay:
    """At most `capacity` transitions, sampled uniformly with replacement.

    (Lin 1992; Mnih et al. 2015.) They are the newest, unless `eviction` says otherwise. With
    `frames`, the observations of its rows are numbers of frames
    kept there, and a row is dropped when one of its frames is overwritten. With episodes shorter
    than `frames.SPARE` steps this happens before `capacity` is reached. With `padding`, that of its
    observations, the rows are whole episodes.
    """

    def __init__(
        self,
        capacity: int,
        columns: ColumnTypes,
        generator: np.random.Generator,
        frames: Frames | None = None,
        padding: int | None = None,
        eviction: Eviction | None = None,
    ) -> None:
        self.capacity = capacity
        self.eviction = eviction or Fifo(capacity)
        assert frames is None or isinstance(self.eviction, Fifo), "the oldest frames give way"
        self.frames = frames
        self.padding = padding
        self.columns = {
            name: np.zeros((capacity, *shape), dtype) for name, (shape, dtype) in columns.items()
        }
        self.generator = generator
        self.added = 0  # rows added so far
        self.first = 0  # rows before this one are dropped, even if not yet overwritten
        # of each row, its frame that will be overwritten first
        self._oldest = np.zeros(0 if frames is None else capacity, np.int64)

    def __len__(self) -> int:
        return self.added - self._first_held

    def add(self, rows: Rows) -> np.ndarray:
        """Add rows, each column [n, ...]; return the places that were written."""
        count = len(next(iter(rows.values())))
        kept, places = self.eviction.places(self.added, count)
        self.added += count
        for name, column in self.columns.items():
            column[places] = rows[name][kept]
        self._drop_overwritten_rows(places)
        return places

    def sample(self, updates: int, batch_size: int) -> Columns:
        """Draw `updates` independent batches: each column [updates, batch_size, ...]."""
        return self.take(self.draw(updates, batch_size))

    def draw(self, updates: int, batch_size: int) -> Columns:
        """Draw which rows make the batches, for `take`.

        Returns `place` [updates, batch_size], and what comes with having been drawn.
        """
        rows = self.generator.integers(len(self), size=(updates, batch_size))
        if self.first <= self.added - self.capacity:  # every place is held
            return {"place": rows}
        return {"place": (self.first + rows) % self.capacity}

    def take(self, drawn: Rows) -> Columns:
        """Return the batches that were drawn, or any part [..., batch_size] of them."""
        places = drawn["place"]
        # a third of the time of column[...]
        batch = {name: column.take(places, axis=0) for name, column in self.columns.items()}
        batch |= {name: column for name, column in drawn.items() if name != "place"}
        if self.frames is not None:
            for name in OBSERVATIONS:
                batch[name] = self.frames.stacks(batch[name])
        return batch

    def set_beta(self, beta: float) -> None:
        """Do nothing: no row weighs more than another."""

    def update_priorities(self, errors: np.ndarray) -> None:
        """Do nothing: every row is drawn as often as another."""

    def observations(self, most: int) -> np.ndarray:
        """Return at most so many of the observations that are held, evenly spaced, [n, *shape]."""
        if self.padding is not None:
            return self._observations_of_episodes(most, self.padding)
        places = (self._first_held + spread(len(self), most)) % self.capacity
        observations = self.columns["observation"][places]
        return observations if self.frames is None else self.frames.stacks(observations)

    def rows(self) -> Columns:
        """Return the filled part of each column, as it lies.

        With `state`, this is all that `restore` needs. No copies.
        """
        filled = {name: column[: self._filled] for name, column in self.columns.items()}
        return filled if self.frames is None else filled | self.frames.rows()

    def state(self) -> dict[str, Any]:
        """Return what lies beside the rows."""
        values: dict[str, Any] = {"added": self.added, "capacity": self.capacity}
        if self.frames is not None:
            values["frames"] = self.frames.state()
        return values

    def restore(self, rows: Rows, state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Take over what `rows` and `state` returned; of a larger buffer, the rows that fit.

        Returns their places here and there. With an unchanged capacity every row lies where it lay,
        so the same generator draws the same batches.
        """
        self.added, places, sources = self.eviction.kept(
            int(state["added"]), int(state["capacity"])
        )
        for name, column in self.columns.items():
            column[places] = rows[name][sources]
        if self.frames is not None:
            self.frames.restore(rows, state["frames"])
        self._drop_overwritten_rows(places)
        return places, sources

    @property
    def _filled(self) -> int:
        """The number of places that were written."""
        return min(self.added, self.capacity)

    @property
    def _first_held(self) -> int:
        """The oldest row that is held, as counted by `added`, where the oldest gives way."""
        return max(self.first, self.added - self.capacity)

    def _observations_of_episodes(self, most: int, padding: int) -> np.ndarray:
        if not len(self):
            raise UserError(
                "--replay_unit=episode: no episode has ended, so nothing was learned, and there is"
                " no observation to prove an export on. Give more --total_steps."
            )
        held = (self._first_held + np.arange(len(self))) % self.capacity
        return beginnings(self.columns, most, padding, held)

    def _drop_overwritten_rows(self, written: np.ndarray) -> None:
        """After rows were written at these places, drop all rows that lost a frame.

        Every row before one of them is dropped too.
        """
        if self.frames is None:
            return
        # [written, 2 · S]; a black frame is never overwritten
        numbers = np.concatenate([self.columns[name][written] for name in OBSERVATIONS], axis=1)
        self._oldest[written] = np.where(numbers < 0, self.frames.added, numbers).min(axis=1)
        places = np.flatnonzero(self._oldest[: self._filled] < self.frames.first)
        if len(places):
            # the numbers of the rows that lie there
            rows = self.added - 1 - (self.added - 1 - places) % self.capacity
            self.first = max(self.first, int(rows.max()) + 1)


class PrioritizedReplay(UniformReplay):
    """As `UniformReplay`, but rows are drawn by their `priorities`.

    A batch has the column `weight` too; `update_priorities` then takes the errors of what was drawn
    last.
    """

    def __init__(
        self,
        capacity: int,
        columns: ColumnTypes,
        generator: np.random.Generator,
        alpha: float,
        beta: float = 1.0,
        frames: Frames | None = None,
        padding: int | None = None,
        eviction: Eviction | None = None,
    ) -> None:
        super().__init__(capacity, columns, generator, frames, padding, eviction)
        self.priorities = Priorities(capacity, alpha, beta)

    def add(self, rows: Rows) -> np.ndarray:
        """Add rows as `UniformReplay.add` does, with the largest priority seen."""
        first = self.first
        places = super().add(rows)
        self.priorities.admit(places)
        self._never_draw_dropped_rows(first)
        return places

    def draw(self, updates: int, batch_size: int) -> Columns:
        """Draw as `UniformReplay.draw` does, and add `weight` float32 [updates, batch_size]."""
        return self.priorities.draw(self.generator, updates, batch_size, len(self))

    def set_beta(self, beta: float) -> None:
        """Set the exponent of the importance weights."""
        self.priorities.beta = beta

    def update_priorities(self, errors: np.ndarray) -> None:
        """Take the errors [U, B] of the first U of the batches that were drawn last."""
        self.priorities.update(errors)

    def rows(self) -> Columns:
        """Return the rows as `UniformReplay.rows` does, and their priorities to the alpha."""
        return super().rows() | {"priority": self.priorities.values(self._filled)}

    def state(self) -> dict[str, Any]:
        """Return what lies beside the rows: also the largest priority."""
        return super().state() | {"largest": self.priorities.largest}

    def restore(self, rows: Rows, state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Take over what `rows` and `state` returned, with the priorities."""
        places, sources = super().restore(rows, state)
        self.priorities.restore(places, rows["priority"][sources], state["largest"])
        self._never_draw_dropped_rows(0)
        return places, sources

    def _never_draw_dropped_rows(self, before: int) -> None:
        """Take the priority from rows dropped since row `before` was the first."""
        oldest = max(before, self.added - self.capacity)
        self.priorities.exclude(np.arange(oldest, self.first) % self.capacity)


def spread(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the numbers below `count`, evenly spaced."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def bytes_per_row(columns: ColumnTypes) -> int:
    """Return the memory that one row takes."""
    return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in columns.values())
