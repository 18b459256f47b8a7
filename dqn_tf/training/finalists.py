"""The weights that may be a run's best, and the comparison at its end that decides.

The highest of many evaluations is partly luck: by itself it names weights that were lucky rather
than good. So several of the highest, and the last weights, are compared once more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_BYTES = 256 * 2**20  # of the weights that are kept
FIRST_SHARE = 4  # of the fresh episodes, a quarter is played by all


class Finalist(NamedTuple):
    """Weights of the online network, and the mean return for which they are here."""

    env_step: int  # of the evaluation, on the run's clock
    mean: float
    weights: list[np.ndarray]
    fresh_episodes: int = 0  # whose mean it is, once it was compared


class Finalists:
    """The weights of the highest evaluations so far, the highest first; of equals the latest."""

    def __init__(self, most: int) -> None:
        self.all: list[Finalist] = []
        self._most = most

    def add(self, env_step: int, mean: float, weights: list[np.ndarray]) -> None:
        """Add weights if they are among the highest; as many are kept as memory allows."""
        size = sum(array.nbytes for array in weights)
        most = min(self._most, max(1, MOST_BYTES // max(1, size)))
        entrants = [*self.all, Finalist(env_step, mean, weights)]
        self.all = sorted(entrants, key=_rank, reverse=True)[:most]

    def state(self) -> tuple[list[Any], dict[str, np.ndarray]]:
        """Return what `restore` needs, for JSON and as arrays."""
        values = [[finalist.env_step, finalist.mean] for finalist in self.all]
        arrays = {
            f"{place}/{number}": array
            for place, finalist in enumerate(self.all)
            for number, array in enumerate(finalist.weights)
        }
        return values, arrays

    def restore(self, values: list[Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        count = len(arrays) // max(1, len(values))
        self.all = [
            Finalist(env_step, mean, [arrays[f"{place}/{number}"] for number in range(count)])
            for place, (env_step, mean) in enumerate(values)
        ]


Play = Callable[[list[np.ndarray], range], np.ndarray]  # weights and episodes → returns


def choose(entrants: Sequence[Finalist], play: Play, episodes: int) -> Finalist:
    """Return the best of some weights by their mean return on `episodes` fresh episodes.

    All play a quarter of the episodes, and the better half of them the rest: successive halving
    (Jamieson and Talwalkar 2016) of two rounds. All play the same episodes, of which `play` may
    leave some out that do not end. Of equals the latest is the best. The mean is that of the fresh
    episodes alone.
    """
    first = math.ceil(episodes / FIRST_SHARE)
    returns = [play(entrant.weights, range(first)) for entrant in entrants]
    order = sorted(
        range(len(entrants)),
        key=lambda place: (returns[place].mean(), entrants[place].env_step),
        reverse=True,
    )
    compared = []
    for place in order[: math.ceil(len(entrants) / 2)]:
        entrant, rest = entrants[place], np.zeros(0)
        if first < episodes:
            rest = play(entrant.weights, range(first, episodes))
        fresh = np.concatenate([returns[place], rest])
        compared.append(entrant._replace(mean=float(fresh.mean()), fresh_episodes=len(fresh)))
    return max(compared, key=_rank)


def _rank(finalist: Finalist) -> tuple[float, int]:
    return finalist.mean, finalist.env_step
