"""Whole episodes of logged steps, as columns in memory."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np


class EpisodeRows:
    """Where episodes lie among rows, one after the other.

    `starts` [E + 1] has each episode's first row, and the number of all rows.
    """

    starts: np.ndarray

    @property
    def count(self) -> int:
        """The number of episodes, E."""
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """The steps of each episode, [E] int64."""
        return np.diff(self.starts)

    @property
    def last_rows(self) -> np.ndarray:
        """The last row of each episode, [E] int64."""
        return self.starts[1:] - 1

    def first_rows(self, numbers: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first rows of some episodes, so many of each, and their own `starts`."""
        starts = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.arange(starts[-1]) + np.repeat(self.starts[numbers] - starts[:-1], lengths)
        return rows, starts


@dataclasses.dataclass(frozen=True)
class LoggedEpisodes(EpisodeRows):
    """M steps of E whole episodes, which lie one after the other: none of them is empty.

    The observation after row i is that of row i + 1, or its episode's `final_observation`. An
    episode that neither terminated nor has a final observation ends in a row from which nothing can
    be learned: only the row before it needs it, as its next observation.

    Attributes:
      observation: [M, *shape], dtype of the spaces; of each step, before its action.
      action: [M] int32, counted from 0.
      reward: [M] float32.
      terminated: [M] bool; True at most at an episode's last step.
      starts: [E + 1] int64, each episode's first row, and M.
      final_observation: [E, *shape], the one after each episode's last step; zeros where unknown.
      has_final: [E] bool, whether it is known.
      action_mask: [M, A] bool, or None where the environment has no masks.
      final_mask: [E, A] bool, the mask of each final observation; all True where unknown.
      propensity: [M] float64 in (0, 1], with which the behaviour chose the action; None if unknown.
      digest: sha256 of the contents: a resumed run must be given the same ones.
      source: what was read, as the user named it.
      notes: what else the user should know of the data; sentences without a full stop.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    starts: np.ndarray
    final_observation: np.ndarray
    has_final: np.ndarray
    action_mask: np.ndarray | None
    final_mask: np.ndarray | None
    propensity: np.ndarray | None
    digest: str
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of steps, M."""
        return len(self.action)

    @property
    def returns(self) -> np.ndarray:
        """The sum of each episode's rewards, not discounted, [E] float64."""
        return np.add.reduceat(self.reward, self.starts[:-1], dtype=np.float64)

    @property
    def has_next(self) -> np.ndarray:
        """Whether each episode's last row can be learned from, [E] bool."""
        return self.terminated[self.last_rows] | self.has_final

    @property
    def learnable_lengths(self) -> np.ndarray:
        """From how many steps of each episode something can be learned, [E] int64."""
        return self.lengths - ~self.has_next

    def learnable(self) -> np.ndarray:
        """Return the rows from which something can be learned, in order, int64."""
        is_learnable = np.ones(len(self), bool)
        is_learnable[self.last_rows] = self.has_next
        return np.flatnonzero(is_learnable)

    def episode_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the episode that each row belongs to, int64 of the rows' shape."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def is_last(self, rows: np.ndarray) -> np.ndarray:
        """Return whether each row is the last one of its episode, bool of the rows' shape."""
        return self.starts[self.episode_of(rows) + 1] == np.asarray(rows) + 1

    def next_observations(self, rows: np.ndarray) -> np.ndarray:
        """Return the observation after each of the rows [N], [N, *shape].

        It is zeros where it is not known, which is after an episode's end only.
        """
        return self._following(rows, self.observation, self.final_observation)

    def next_masks(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the mask of the observation after each of the rows [N], [N, A] bool.

        None where there are no masks. All actions are legal where the mask is not known.
        """
        if self.action_mask is None or self.final_mask is None:
            return None
        return self._following(rows, self.action_mask, self.final_mask)

    def action_shares(self, actions: int) -> np.ndarray:
        """Return the share of the steps that took each of so many actions, [A] float64."""
        return np.bincount(self.action, minlength=actions) / len(self)

    def _following(self, rows: np.ndarray, column: np.ndarray, final: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        following = column[np.minimum(rows + 1, len(self) - 1)]
        is_last = self.is_last(rows)
        following[is_last] = final[self.episode_of(rows[is_last])]
        return following


def content_digest(*columns: np.ndarray | None) -> str:
    """Return the sha256 of arrays, with their shapes and dtypes; None stands for a missing one."""
    digest = hashlib.sha256()
    for column in columns:
        if column is None:
            digest.update(b"none;")
            continue
        digest.update(f"{column.dtype.str}{column.shape};".encode())
        for part in np.array_split(column, max(1, column.nbytes >> 24)):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
