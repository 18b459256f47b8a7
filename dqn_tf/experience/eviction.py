"""Which row gives way where the replay is full, `--replay_eviction`. NumPy only."""

from typing import Protocol

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import RESERVOIR
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

Selection = slice | np.ndarray


class Eviction(Protocol):
    """Gives each new row of a replay of `capacity` rows its place, or none."""

    capacity: int

    def places(self, added: int, count: int) -> tuple[Selection, np.ndarray]:
        """Tell which of `count` rows, after `added` others, are kept, and where: [kept] int64.

        No place comes twice. What lay there gives way.
        """

    def kept(self, added: int, capacity: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Tell what is taken over from a replay of `capacity` rows to which `added` were added.

        Returns the count of rows added from now on, their places here, and those there.
        """


class Fifo:
    """The oldest row gives way, so the newest are there (Mnih et al. 2015).

    Row number i lies at i modulo the capacity.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity

    def places(self, added: int, count: int) -> tuple[Selection, np.ndarray]:
        """As described in `Eviction`: of more rows than there is room for, the newest."""
        written = min(count, self.capacity)
        numbers = np.arange(added + count - written, added + count)
        return slice(count - written, count), numbers % self.capacity

    def kept(self, added: int, capacity: int) -> tuple[int, np.ndarray, np.ndarray]:
        """As described in `Eviction`: the newest rows that fit."""
        rows = np.arange(added - min(added, capacity, self.capacity), added)
        # In a buffer of another size the rows are counted anew: rows that were overwritten long ago
        # must not seem to be there.
        count = added if capacity == self.capacity else len(rows)
        places = np.arange(count - len(rows), count) % self.capacity
        return count, places, rows % capacity


class Reservoir:
    """A random row gives way, so that each row ever added is there with the same probability.

    (Vitter 1985, algorithm R.) While there is room, a row takes the next place. After that row
    number t, counted from 0, draws a place uniformly from t + 1; where it is one of the `capacity`,
    the row takes it, and else it is not kept. Of n rows every set of `capacity` is then equally
    likely.
    """

    def __init__(self, capacity: int, generator: np.random.Generator) -> None:
        self.capacity = capacity
        self._generator = generator

    def places(self, added: int, count: int) -> tuple[Selection, np.ndarray]:
        """As described in `Eviction`; the last of the rows that draw the same place is kept."""
        numbers = np.arange(added, added + count)
        places = numbers.copy()
        late = numbers >= self.capacity
        places[late] = self._generator.integers(numbers[late] + 1)
        drawn, last = np.unique(places[::-1], return_index=True)
        is_place = drawn < self.capacity
        return count - 1 - last[is_place], drawn[is_place]

    def kept(self, added: int, capacity: int) -> tuple[int, np.ndarray, np.ndarray]:
        """As described in `Eviction`: all rows, or as many of them as fit, drawn at random.

        Raises UserError where there is more room now, but rows had to be dropped already.
        """
        require_room_as_before(self.capacity, added, capacity)
        held = min(added, capacity)
        if held <= self.capacity:
            return added, np.arange(held), np.arange(held)
        chosen = self._generator.choice(held, self.capacity, replace=False)
        return added, np.arange(self.capacity), np.sort(chosen)


def require_room_as_before(room: int, added: int, capacity: int) -> None:
    """Raise UserError where a reservoir of `capacity` rows, which dropped some, is to have more."""
    if room <= capacity or added <= capacity:
        return
    raise UserError(
        f"--replay_capacity={room}: of {added:,} rows so far, --replay_eviction=reservoir has kept"
        f" {capacity:,}. Those that it dropped cannot come back, so more rows would be no uniform"
        f" sample. Give at most {capacity}."
    )


def require_evictable(config: DQNConfig, spaces: Spaces) -> None:
    """Raise UserError where rows share what only the oldest of them can give up."""
    if config.replay_eviction == RESERVOIR and spaces.stack:
        raise UserError(
            "--replay_eviction=reservoir keeps rows of any age, and rows of stacked pictures share"
            " their frames, of which the replay has room for the newest. Leave it out:"
            " --replay_eviction=fifo."
        )


def make_eviction(config: DQNConfig, capacity: int, generator: np.random.Generator) -> Eviction:
    """Make the configured eviction of a replay of `capacity` rows."""
    if config.replay_eviction == RESERVOIR:
        return Reservoir(capacity, generator)
    return Fifo(capacity)
