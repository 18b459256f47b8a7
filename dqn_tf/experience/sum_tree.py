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
            nodes = len(self._levels[-1])
            self._levels.append(_level(nodes))

    @property
    def total(self) -> float:
        """The sum of all priorities."""
        return float(self._levels[-1].sum())

    def get(self, leaves: np.ndarray) -> np.ndarray:
        """Return the priorities of these leaves."""
        return self._levels[0].reshape(-1)[leaves]

    def set(self, leaves: np.ndarray, priorities: np.ndarray) -> None:
        """Set priorities; of a leaf that is named twice, the last one holds."""
        self._levels[0].reshape(-1)[leaves] = priorities
        groups = leaves // BRANCH
        for level, children in enumerate(self._levels[:-1]):
            parents = self._levels[level + 1].reshape(-1)
            parents[groups] = children[groups].sum(axis=1)
            groups = groups // BRANCH

    def find(self, mass: np.ndarray) -> np.ndarray:
        """Find the leaf in which each mass in [0, total) falls, counting from the first leaf's.

        [n] float64 → [n] int64.
        """
        *lower, top = self._levels
        sums = top.cumsum()
        remaining = np.minimum(mass, _below(sums[-1]))
        node = sums.searchsorted(remaining, side="right")  # [n]
        remaining = remaining - np.where(node > 0, sums[node - 1], 0.0)
        rows = np.arange(len(mass))
        for children in reversed(lower):
            sums = children[node].cumsum(axis=1)  # [n, BRANCH]
            remaining = np.minimum(remaining, _below(sums[:, -1]))
            child = (sums > remaining[:, np.newaxis]).argmax(axis=1)  # [n]
            before = np.where(child > 0, sums[rows, child - 1], 0.0)
            remaining = remaining - before
            node = node * BRANCH + child
        return node


def _level(size: int) -> np.ndarray:
    """Make zeros for `size` nodes, in groups of BRANCH."""
    groups = -(-size // BRANCH)
    return np.zeros((groups, BRANCH))


def _below(sums: np.ndarray) -> np.ndarray:
    """Return the largest mass that still lies within the sums.

    Rounding may leave a mass beyond the last child's sum: it then is the last child's that has any.
    """
    return np.nextafter(sums, 0.0)
