"""Replay of several sources: each gives its rows of every batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.experience.logged.replay import LoggedRows
from dqn_tf.experience.replay import Columns, Rows, UniformReplay

LOGGED = "logged/"  # the columns of logged sources in a checkpoint
LOGGED_OBSERVATION = LOGGED + "observation"
KEPT_OBSERVATIONS = 1024  # of the logged ones in a checkpoint, for its export


class MixedReplay:
    """The run's own transitions and logged ones, a fixed number of each in every batch.

    (Ball et al. 2023, "symmetric sampling", for any share.) A batch has the run's own rows first,
    then those of each logged source, and one more column: `is_logged` float32. While it
    `is_offline`, and as long as it holds no row of the run's own, all are logged ones.

    `counts` are the rows of each logged source in a batch, offline; `online_counts` are those of
    the run's own and of each logged source once it takes steps.
    """

    def __init__(
        self,
        online: UniformReplay,
        logged: Sequence[LoggedRows],
        counts: Sequence[int],
        online_counts: Sequence[int],
    ) -> None:
        self.online = online
        self.capacity = online.capacity  # of the run's own rows
        self.is_offline = False
        self.logged = list(logged)
        self._offline_counts = (0, *counts)
        self._online_counts = tuple(online_counts)

    @property
    def counts(self) -> tuple[int, ...]:
        """The rows of each part in a batch, the run's own first."""
        draws_own = len(self.online) and not self.is_offline
        return self._online_counts if draws_own else self._offline_counts

    def __len__(self) -> int:
        return len(self.online)

    def add(self, rows: Rows) -> None:
        """Append rows to the run's own."""
        self.online.add(rows)

    def draw(self, updates: int, batch_size: int) -> Columns:
        """Draw which rows make the batches, for `take`; `batch_size` is the sum of `counts`."""
        drawn = [part.draw(updates, count) for part, count in self._used()]
        return joined(drawn)

    def take(self, drawn: Rows) -> Columns:
        """Return the batches that were drawn, or any part [..., batch_size] of them."""
        taken = []
        start = 0
        for part, count in self._used():
            place = slice(start, start + count)
            of_part = {name: column[..., place] for name, column in drawn.items()}
            batch = part.take(of_part)
            is_logged = np.float32(part is not self.online)
            batch["is_logged"] = np.full(of_part["place"].shape, is_logged)
            taken.append(batch)
            start += count
        return joined(taken, axis=drawn["place"].ndim - 1)

    def sample(self, updates: int, batch_size: int) -> Columns:
        """Draw `updates` independent batches: each column [updates, batch_size, ...]."""
        return self.take(self.draw(updates, batch_size))

    def set_beta(self, beta: float) -> None:
        """Set the exponent of the importance weights, where rows have priorities."""
        for part in self._parts:
            part.set_beta(beta)

    def update_priorities(self, errors: np.ndarray) -> None:
        """Give each part the errors [U, B] of its rows of the batches that were drawn last."""
        start = 0
        for part, count in self._used():
            part.update_priorities(errors[:, start : start + count])
            start += count

    def observations(self, most: int) -> np.ndarray:
        """Return at most so many observations, evenly spaced: its own, or logged ones without."""
        if len(self.online):
            return self.online.observations(most)
        return self._logged_observations(most)

    def rows(self) -> Columns:
        """Return the run's own columns, and what a checkpoint needs of the logged ones."""
        rows = self.online.rows()
        for number, part in enumerate(self.logged):
            for name, column in part.rows().items():
                rows[f"{LOGGED}{number}/{name}"] = column
        return rows | {LOGGED_OBSERVATION: self._logged_observations(KEPT_OBSERVATIONS)}

    def state(self) -> dict[str, Any]:
        """Return what lies beside the rows."""
        return self.online.state() | {"logged": [part.state() for part in self.logged]}

    def restore(self, rows: Rows, state: Mapping[str, Any]) -> None:
        """Take over what `rows` and `state` returned, for the same logged episodes."""
        self.online.restore(rows, state)
        for number, (part, values) in enumerate(zip(self.logged, state["logged"], strict=True)):
            part.restore(_below(rows, f"{LOGGED}{number}/"), values)

    def require_same(self, state: Mapping[str, Any]) -> None:
        """Raise UserError if `state` was returned for other logged episodes."""
        for part, values in zip(self.logged, state["logged"], strict=True):
            part.require_same(values)

    @property
    def _parts(self) -> list[UniformReplay | LoggedRows]:
        return [self.online, *self.logged]

    def _used(self) -> list[tuple[UniformReplay | LoggedRows, int]]:
        """Return the parts that give rows, and how many."""
        pairs = zip(self._parts, self.counts, strict=True)
        return [(part, count) for part, count in pairs if count]

    def _logged_observations(self, most: int) -> np.ndarray:
        share = max(1, most // len(self.logged))
        return np.concatenate([part.observations(share) for part in self.logged])


def shared_counts(batch_size: int, shares: Sequence[float]) -> tuple[int, ...]:
    """Divide a batch into whole rows by shares that sum to any number above 0.

    What is left over by rounding down goes to the largest remainders, the earlier one first.
    """
    exact = batch_size * np.asarray(shares, np.float64) / np.sum(shares)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    order = np.argsort(counts - exact, kind="stable")
    counts[order[: batch_size - counts.sum()]] += 1
    return tuple(counts.tolist())


def joined(parts: Sequence[Columns], axis: int = -1) -> Columns:
    """Join columns of the same names along the axis of a batch's rows."""
    return {name: np.concatenate([part[name] for part in parts], axis) for name in parts[0]}


def _below(rows: Rows, prefix: str) -> Columns:
    return {name.removeprefix(prefix): rows[name] for name in rows if name.startswith(prefix)}
