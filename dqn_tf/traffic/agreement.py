"""What was served against what a candidate would do:

agreement of actions and Q-values, and inputs beyond the training ranges. NumPy only.
"""

import collections
from typing import Any

import numpy as np


class Agreement:
    """Actions and Q-values of two models on the same rows, added up batch by batch."""

    def __init__(self) -> None:
        self.requests = self.rows = self.equal = self.not_finite = 0
        # (served, the candidate's)
        self.confusion: collections.Counter[tuple[int, int]] = collections.Counter()
        self._differences, self._sum, self._largest = 0, 0.0, 0.0

    def add(
        self,
        requests: int,
        served: tuple[np.ndarray, np.ndarray | None],
        candidate: tuple[np.ndarray, np.ndarray | None],
    ) -> None:
        """Each side is actions [N] and Q-values [N, A], or None where an answer has none."""
        (actions, q_values), (own_actions, own_q_values) = served, candidate
        self.requests += requests
        self.rows += len(actions)
        self.equal += int((actions == own_actions).sum())
        self.confusion.update(zip(actions.tolist(), own_actions.tolist(), strict=True))
        if (
            q_values is not None
            and own_q_values is not None
            and q_values.shape == own_q_values.shape
        ):
            difference = np.abs(q_values.astype(np.float64) - own_q_values)
            finite = difference[np.isfinite(difference)]
            self.not_finite += difference.size - finite.size
            self._differences += finite.size
            self._sum += float(finite.sum())
            self._largest = max(self._largest, float(finite.max(initial=0.0)))

    def summary(self) -> dict[str, Any]:
        """Ready for JSON; None is not known."""
        known = self._differences > 0
        return {
            "requests": self.requests,
            "rows": self.rows,
            "equal_actions": self.equal / self.rows if self.rows else None,
            "q_difference_mean": self._sum / self._differences if known else None,
            "q_difference_max": self._largest if known else None,
            "q_differences_not_finite": self.not_finite,
        }


class Drift:
    """The range of each component of the observations seen, and how many values lay beyond a given
    one.
    """

    def __init__(
        self, shape: tuple[int, ...], low: np.ndarray | None = None, high: np.ndarray | None = None
    ) -> None:
        """`shape` is that of one observation; `low` and `high` have it, too, or there is no range
        to compare with.
        """
        self.low, self.high, self._given = (
            np.full(shape, np.inf),
            np.full(shape, -np.inf),
            (low, high),
        )
        self.outside, self.rows = np.zeros(shape, np.int64), 0

    def add(self, observations: np.ndarray) -> None:
        """[N, *shape].

        What is not finite lies outside any range and is no part of the one that was seen.
        """
        values = observations.astype(np.float64)
        finite = np.isfinite(values)
        self.rows += len(values)
        self.low = np.minimum(
            self.low, np.where(finite, values, np.inf).min(axis=0, initial=np.inf)
        )
        self.high = np.maximum(
            self.high, np.where(finite, values, -np.inf).max(axis=0, initial=-np.inf)
        )
        beyond = ~finite
        if self._given[0] is not None:
            beyond |= (values < self._given[0]) | (values > self._given[1])
        self.outside += beyond.sum(axis=0)

    def summary(self) -> list[dict[str, Any]]:
        """One entry for each component, in row-major order, ready for JSON; None is not known."""
        given = [
            np.broadcast_to(np.nan if end is None else end, self.low.shape).ravel()
            for end in self._given
        ]
        parts = (self.low.ravel(), self.high.ravel(), *given, self.outside.ravel())
        return [
            {
                "component": list(map(int, index)),
                "seen": _range(low, high),
                "trained": _range(*trained),
                "outside": int(outside) / self.rows if self.rows else None,
            }
            for index, (low, high, *trained, outside) in zip(
                np.ndindex(self.low.shape), zip(*parts, strict=True), strict=True
            )
        ]


def _range(low: float, high: float) -> list[float] | None:
    return [float(low), float(high)] if np.isfinite([low, high]).all() else None
