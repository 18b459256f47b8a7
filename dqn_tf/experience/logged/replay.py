"""Replay of logged episodes: transitions are made when they are drawn, and nothing is copied."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.replay import Columns, Rows, spread
from dqn_tf.support.errors import UserError

LONG_WINDOW = 16  # steps


class LoggedRows(abc.ABC):
    """Rows of logged episodes, drawn uniformly with replacement or, with `priorities`, by these.

    The rows lie at places below `places`.
    """

    def __init__(
        self,
        episodes: LoggedEpisodes,
        generator: np.random.Generator,
        priorities: Priorities | None,
        places: int,
    ) -> None:
        self.episodes = episodes
        self.generator = generator
        self.priorities = priorities
        self._places = places
        if priorities is not None:
            priorities.admit(np.arange(places))

    @abc.abstractmethod
    def __len__(self) -> int:
        """Count the rows that can be drawn."""

    @abc.abstractmethod
    def take(self, drawn: Rows) -> Columns:
        """Return the rows that were drawn, [..., *shape], and what came with having been drawn."""

    def draw(self, updates: int, batch_size: int) -> Columns:
        """Draw which rows make the batches, for `take`: `place` [updates, batch_size].

        With priorities there is a `weight` too.
        """
        if self.priorities is not None:
            return self.priorities.draw(self.generator, updates, batch_size, len(self))
        numbers = self.generator.integers(len(self), size=(updates, batch_size))
        return {"place": self._place_of(numbers)}

    def observations(self, most: int) -> np.ndarray:
        """Return at most so many of the observations, evenly spaced, [n, *shape]."""
        return self.episodes.observation[spread(len(self.episodes), most)]

    def set_beta(self, beta: float) -> None:
        """Set the exponent of the importance weights, where rows have priorities."""
        if self.priorities is not None:
            self.priorities.beta = beta

    def update_priorities(self, errors: np.ndarray) -> None:
        """Take the errors [U, B] of the first U of the batches that were drawn last."""
        if self.priorities is not None:
            self.priorities.update(errors)

    def rows(self) -> Columns:
        """Return what `restore` needs as columns: not the steps, which are read again."""
        if self.priorities is None:
            return {}
        return {"priority": self.priorities.values(self._places)}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs beside the columns."""
        largest = {} if self.priorities is None else {"largest": self.priorities.largest}
        return {"digest": self.episodes.digest} | largest

    def restore(self, rows: Rows, state: Mapping[str, Any]) -> None:
        """Take over what `rows` and `state` returned. Raises UserError for other episodes."""
        self.require_same(state)
        if self.priorities is not None:
            places = np.arange(self._places)
            self.priorities.restore(places, rows["priority"], state["largest"])

    def require_same(self, state: Mapping[str, Any]) -> None:
        """Raise UserError if `state` was returned for other episodes."""
        if state["digest"] != self.episodes.digest:
            raise UserError(
                f"--data={self.episodes.source} does not hold what it held when the run was"
                " started. Put it back, or start a new run."
            )

    def _place_of(self, numbers: np.ndarray) -> np.ndarray:
        """Return the place of each of the numbers below `len(self)`."""
        return numbers


class LoggedReplay(LoggedRows):
    """The transitions over `n_step` steps that start at each step of logged episodes.

    They are those that `NStep` makes of the same steps, where the next observation is known: a
    window ends after n steps, or with its episode, or before the last step of an episode that goes
    on unseen.
    """

    def __init__(
        self,
        episodes: LoggedEpisodes,
        n_step: int,
        gamma: float,
        generator: np.random.Generator,
        priorities: Priorities | None = None,
    ) -> None:
        super().__init__(episodes, generator, priorities, len(episodes))
        self._n_step = n_step
        self._gamma = gamma
        self._last_known = last_known(episodes)
        self._powers = gamma ** np.arange(min(n_step, int(episodes.lengths.max())) + 1)
        # over many steps a difference is faster than a sum
        self._to_go = rewards_to_go(episodes, gamma) if n_step > LONG_WINDOW else None
        self._excluded = episodes.last_rows[~episodes.has_next]  # nothing is known after them
        # how many rows that can be drawn lie before each of them
        self._excluded_at = self._excluded - np.arange(len(self._excluded))
        if priorities is not None:
            priorities.exclude(self._excluded)

    def __len__(self) -> int:
        return len(self.episodes) - len(self._excluded)

    def take(self, drawn: Rows) -> Columns:
        """Return the transitions that start at the rows that were drawn, [..., *shape]."""
        places = drawn["place"]
        rows = places.reshape(-1)
        episodes = self.episodes
        end = self._last_known[rows]
        last = np.minimum(rows + self._n_step - 1, end)
        discount = np.where(episodes.terminated[last], 0.0, self._powers[last - rows + 1])
        batch = {
            "observation": episodes.observation.take(rows, axis=0),
            "action": episodes.action.take(rows),
            "reward": self._rewards(rows, last).astype(np.float32),
            "discount": discount.astype(np.float32),
            "next_observation": self._next_observations(last, last == end),
        }
        next_masks = episodes.next_masks(last)
        if episodes.action_mask is not None and next_masks is not None:
            batch["action_mask"] = episodes.action_mask.take(rows, axis=0)
            batch["next_action_mask"] = next_masks
        batch = {
            name: column.reshape(*places.shape, *column.shape[1:]) for name, column in batch.items()
        }
        return batch | {name: column for name, column in drawn.items() if name != "place"}

    def _place_of(self, numbers: np.ndarray) -> np.ndarray:
        """As described in `LoggedRows`: rows from which nothing can be learned are left out."""
        if not len(self._excluded):
            return numbers
        return numbers + np.searchsorted(self._excluded_at, numbers, side="right")

    def _rewards(self, rows: np.ndarray, last: np.ndarray) -> np.ndarray:
        """Return Σ_k gamma^k r over the windows from `rows` to `last`, float64 [N]."""
        if self._to_go is not None:
            after = np.where(self.episodes.is_last(last), 0.0, self._to_go[last + 1])
            return self._to_go[rows] - self._powers[last - rows + 1] * after
        reward = np.zeros(len(rows))
        for k in range(self._n_step):
            rewards = self.episodes.reward[np.minimum(rows + k, last)]
            reward += np.where(rows + k <= last, self._gamma**k * rewards, 0.0)
        return reward

    def _next_observations(self, last: np.ndarray, is_end: np.ndarray) -> np.ndarray:
        """Return the observations after the rows `last` [N], few of which are an episode's end."""
        following = self.episodes.observation.take(last + 1, axis=0, mode="clip")
        following[is_end] = self.episodes.next_observations(last[is_end])
        return following


def last_known(episodes: LoggedEpisodes) -> np.ndarray:
    """Return for each row the last one of its episode whose next observation is known, int32 [M].

    At a last row of which it is not, that lies before the row itself.
    """
    ends = episodes.last_rows - ~episodes.has_next
    return np.repeat(ends.astype(np.int32), episodes.lengths)


def rewards_to_go(episodes: LoggedEpisodes, gamma: float) -> np.ndarray:
    """Return Σ_k gamma^k r from each row to its episode's last one, float64 [M + 1].

    It is 0 after the last row of all. The sum over a window is the difference of two of them.
    """
    to_go = np.zeros(len(episodes) + 1)
    lengths = episodes.lengths
    rows = episodes.last_rows.copy()
    following = np.zeros(len(rows))
    for step in range(int(lengths.max())):
        goes_on = lengths > step
        rows, following, lengths = rows[goes_on], following[goes_on], lengths[goes_on]
        following = episodes.reward[rows] + gamma * following
        to_go[rows] = following
        rows = rows - 1
    return to_go
