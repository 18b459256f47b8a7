"""Compares what was served with what a candidate would do, and the inputs with those of training.

NumPy only.
"""

import collections
from typing import Any, NamedTuple

import numpy as np


class Choices(NamedTuple):
    """What a model answers for some rows."""

    actions: np.ndarray  # [N]
    q_values: np.ndarray | None  # [N, A]; None where an answer has none


class Agreement:
    """Counts how far two models agree on the same rows, batch by batch.

    `confusion` counts pairs of actions: the one that was served, and the candidate's.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.rows = 0
        self.equal = 0
        self.not_finite = 0
        self.confusion: collections.Counter[tuple[int, int]] = collections.Counter()
        self._differences = 0
        self._sum = 0.0
        self._largest = 0.0

    def add(self, requests: int, served: Choices, candidate: Choices) -> None:
        """Count the rows of one batch, which were served in so many requests."""
        self.requests += requests
        self.rows += len(served.actions)
        self.equal += int((served.actions == candidate.actions).sum())
        pairs = zip(served.actions.tolist(), candidate.actions.tolist(), strict=True)
        self.confusion.update(pairs)
        if served.q_values is None or candidate.q_values is None:
            return
        if served.q_values.shape == candidate.q_values.shape:
            self._add_difference(np.abs(served.q_values.astype(np.float64) - candidate.q_values))

    def summary(self) -> dict[str, Any]:
        """Return the counts, ready for JSON; None for what is not known."""
        is_known = self._differences > 0
        return {
            "requests": self.requests,
            "rows": self.rows,
            "equal_actions": self.equal / self.rows if self.rows else None,
            "q_difference_mean": self._sum / self._differences if is_known else None,
            "q_difference_max": self._largest if is_known else None,
            "q_differences_not_finite": self.not_finite,
        }

    def _add_difference(self, difference: np.ndarray) -> None:
        finite = difference[np.isfinite(difference)]
        self.not_finite += difference.size - finite.size
        self._differences += finite.size
        self._sum += float(finite.sum())
        self._largest = max(self._largest, float(finite.max(initial=0.0)))


class Drift:
    """The range of each component of the observations, and how many values lie outside training's.

    `shape` is that of one observation. `trained_low` and `trained_high` have it, too; without them
    there is no range to compare with.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        trained_low: np.ndarray | None = None,
        trained_high: np.ndarray | None = None,
    ) -> None:
        self.rows = 0
        self.low = np.full(shape, np.inf)
        self.high = np.full(shape, -np.inf)
        self.outside = np.zeros(shape, np.int64)
        self._trained_low = trained_low
        self._trained_high = trained_high

    def add(self, observations: np.ndarray) -> None:
        """Add observations [N, *shape].

        A value that is not finite lies outside of any range, and is not part of the range seen.
        """
        values = observations.astype(np.float64)
        is_finite = np.isfinite(values)
        lowest = np.where(is_finite, values, np.inf).min(axis=0, initial=np.inf)
        highest = np.where(is_finite, values, -np.inf).max(axis=0, initial=-np.inf)
        self.low = np.minimum(self.low, lowest)
        self.high = np.maximum(self.high, highest)
        is_outside = ~is_finite
        if self._trained_low is not None and self._trained_high is not None:
            is_outside |= (values < self._trained_low) | (values > self._trained_high)
        self.outside += is_outside.sum(axis=0)
        self.rows += len(values)

    def summary(self) -> list[dict[str, Any]]:
        """Return an entry for each component, in row-major order, ready for JSON.

        None stands for what is not known.
        """
        trained_low = _filled(self._trained_low, self.low.shape)
        trained_high = _filled(self._trained_high, self.low.shape)
        return [
            {
                "component": [int(place) for place in index],
                "seen": _range(self.low, self.high, index),
                "trained": _range(trained_low, trained_high, index),
                "outside": int(self.outside[index]) / self.rows if self.rows else None,
            }
            for index in np.ndindex(self.low.shape)
        ]


def _filled(bound: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.nan if bound is None else bound, shape)


def _range(low: np.ndarray, high: np.ndarray, index: tuple[int, ...]) -> list[float] | None:
    ends = [float(low[index]), float(high[index])]
    return ends if np.isfinite(ends).all() else None
