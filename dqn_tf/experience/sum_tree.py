"""A sum tree for sampling in proportion to priorities, every operation vectorised over a batch."""

import numpy as np

BRANCH = 32  # a node's children are summed and searched at once
# nodes at most on the last level, which is searched as one: up to 131,072 leaves need two levels,
# up to 4 million three
TOP = 4096


class SumTree:
    """`capacity` priorities (float64) under sums of BRANCH children each.

    A changed leaf's ancestors are summed anew from their children, never adjusted by a difference,
    so rounding does not add up.
    """

    def __init__(self, capacity: int) -> None:
        self._levels = [_level(capacity)]  # leaves first
        while self._levels[-1].size > TOP:
            self._levels.append(_level(len(self._levels[-1])))

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._levels[-1].sum())

    def get(self, leaves: np.ndarray) -> np.ndarray:
        """Priorities of these leaves."""
        return self._levels[0].reshape(-1)[leaves]

    def set(self, leaves: np.ndarray, priorities: np.ndarray) -> None:
        """Sets priorities; of a leaf that is named twice, the last one holds."""
        self._levels[0].reshape(-1)[leaves] = priorities
        groups = leaves // BRANCH
        for children, parents in zip(self._levels, self._levels[1:], strict=False):
            parents.reshape(-1)[groups] = children[groups].sum(axis=1)
            groups = groups // BRANCH

    def find(self, mass: np.ndarray) -> np.ndarray:
        """The leaf in which each mass in [0, total) falls, counting from the first leaf's:

        [n] float64 → [n] int64.
        """
        *lower, top = self._levels
        sums = top.cumsum()
        remaining = np.minimum(mass, _below(sums[-1]))
        node = sums.searchsorted(remaining, side="right")
        remaining = remaining - np.where(node > 0, sums[node - 1], 0.0)
        rows = np.arange(len(mass))
        for children in reversed(lower):
            sums = children[node].cumsum(axis=1)
            remaining = np.minimum(remaining, _below(sums[:, -1]))
            child = (sums > remaining[:, np.newaxis]).argmax(axis=1)
            remaining = remaining - np.where(child > 0, sums[rows, child - 1], 0.0)
            node = node * BRANCH + child
        return node


def _level(size: int) -> np.ndarray:
    """Zeros for `size` nodes, in groups of BRANCH."""
    return np.zeros((-(-size // BRANCH), BRANCH))


def _below(sums: np.ndarray) -> np.ndarray:
    """The largest mass that still lies within:

    rounding may leave one beyond the last child's sum; it then is the last child's that has any.
    """
    return np.nextafter(sums, 0.0)
