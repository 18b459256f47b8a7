"""Priorities of rows: which are drawn more often, and what that weighs in the loss."""

import numpy as np

from dqn_tf.experience.sum_tree import SumTree

SMALLEST_PRIORITY = 1e-6  # so that a transition without error can still be drawn


class Priorities:
    """Draws row i with probability P(i) = p_i^alpha / Σ p^alpha (Schaul et al. 2016, equation 1).

    A row that was never drawn has the largest priority seen. A block's batches are all drawn before
    its first update, so within a block of more than one update the priorities are those of the
    block's start.
    """

    def __init__(self, capacity: int, alpha: float, beta: float = 1.0) -> None:
        self.alpha = alpha
        self.beta = beta
        self.largest = 1.0  # of the priorities p, before alpha
        self._capacity = capacity
        self._tree = SumTree(capacity)
        self._drawn = np.zeros((0, 0), np.int64)

    def admit(self, places: np.ndarray) -> None:
        """Give the rows at these places the largest priority seen."""
        self._tree.set(places, np.full(len(places), self.largest**self.alpha))

    def exclude(self, places: np.ndarray) -> None:
        """Never draw the rows at these places."""
        if len(places):
            self._tree.set(places, np.zeros(len(places)))

    def draw(
        self, generator: np.random.Generator, updates: int, batch_size: int, rows: int
    ) -> dict[str, np.ndarray]:
        """Draw stratified from so many `rows`.

        Returns `place` int64 and `weight` float32, [updates, batch_size] each. A weight is
        (N·P(i))^-beta over its batch's largest.
        """
        size = (updates, batch_size)
        strata = (np.arange(batch_size) + generator.random(size)) / batch_size
        total = self._tree.total
        self._drawn = self._tree.find((strata * total).reshape(-1)).reshape(size)
        probability = self._tree.get(self._drawn) / total
        weight = (rows * probability) ** -self.beta
        weight /= weight.max(axis=1, keepdims=True)
        return {"place": self._drawn, "weight": weight.astype(np.float32)}

    def update(self, errors: np.ndarray) -> None:
        """Make |error| [U, B] the priority of the first U of the batches drawn last.

        Where a row was drawn twice, the last one holds.
        """
        priorities = np.abs(errors, dtype=np.float64).reshape(-1) + SMALLEST_PRIORITY
        self.largest = max(self.largest, float(priorities.max()))
        places = self._drawn[: len(errors)].reshape(-1)
        self._tree.set(places, priorities**self.alpha)

    def values(self, count: int) -> np.ndarray:
        """Return the first so many priorities to the alpha, float64."""
        return self._tree.get(np.arange(count))

    def restore(self, places: np.ndarray, values: np.ndarray, largest: float) -> None:
        """Take over what `values` returned, for rows at these places, and the largest."""
        self.largest = largest
        self._tree = SumTree(self._capacity)
        self._tree.set(places, values)
