"""Exact returns of recommendations to readers who tire and leave, by dynamic programming.

A reader clicks on a title with the chance of their level for its genre, times what they are still
in the mood for. A genre that is shown tires by one stage; each other one recovers by one stage with
chance RECOVERY. After each title the reader leaves, the more likely the higher their level for its
genre is: the titles that are clicked most are those that drive readers away.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np

GENRES = 5
LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # chances of a click on a genre that does not tire
MOODS = (1.0, 0.5, 0.1)  # what is left of them, by how often the genre was shown
LEAVING = (0.02, 0.37)  # chances at the lowest and at the highest level, and evenly between
RECOVERY = 0.5
TITLES = 20
STATES = np.array(list(itertools.product(range(len(MOODS)), repeat=GENRES)))  # [243, 5] stages
# Levels of the sixty readers, a digit for each genre, drawn at random once.
READERS = tuple(
    tuple(map(int, digits))
    for digits in [
        "43211",
        "00004",
        "34234",
        "33224",
        "14301",
        "42033",
        "40040",
        "20122",
        "20000",
        "32313",
        "31244",
        "41343",
        "43314",
        "02342",
        "11223",
        "40421",
        "32113",
        "22131",
        "14113",
        "30014",
        "23113",
        "40031",
        "20424",
        "33130",
        "22404",
        "03241",
        "43403",
        "40130",
        "23342",
        "22402",
        "02431",
        "43402",
        "43222",
        "21302",
        "13334",
        "40003",
        "44344",
        "00404",
        "44102",
        "41414",
        "12114",
        "40441",
        "22320",
        "43043",
        "03204",
        "31003",
        "02441",
        "02430",
        "31124",
        "40231",
        "11141",
        "10031",
        "42423",
        "40221",
        "22244",
        "33431",
        "02120",
        "44042",
        "04402",
        "43244",
    ]
)

Levels = tuple[int, ...]


class Values(NamedTuple):
    """Returns with one reader, from the first title on.

    Attributes:
      optimum: the best.
      greedy: of the title with the highest chance of a click now.
      at_random: of titles at random.
      favourite: of always the genre that is liked best.
      best: [TITLES, 243] int64, a best genre after so many titles in each state.
    """

    optimum: float
    greedy: float
    at_random: float
    favourite: float
    best: np.ndarray


def click_chances(levels: Levels, stages: np.ndarray) -> np.ndarray:
    """Return the chances of a click on each genre, [..., 5], in such stages [..., 5]."""
    return np.array(LEVELS)[list(levels)] * np.array(MOODS)[stages]


def leaving_chances(levels: Levels) -> np.ndarray:
    """Return the chances of leaving after a title of each genre, [5]."""
    low, high = LEAVING
    return low + (high - low) * np.array(levels) / (len(LEVELS) - 1)


def state_number(stages: np.ndarray) -> int:
    """Return the place of stages [5] in STATES."""
    return int(np.ravel_multi_index(tuple(stages), (len(MOODS),) * GENRES))


@functools.lru_cache(maxsize=1)
def transitions() -> np.ndarray:
    """Return the chances of the next state after a genre is shown, [5, 243, 243]."""
    stages = len(MOODS)
    shown, other = np.zeros((2, stages, stages))
    for stage in range(stages):
        shown[stage, min(stage + 1, stages - 1)] = 1.0
        other[stage, max(stage - 1, 0)] += RECOVERY
        other[stage, stage] += 1.0 - RECOVERY
    chances = np.ones((GENRES, 1, 1))
    for place in range(GENRES):
        factors = [shown if place == genre else other for genre in range(GENRES)]
        chances = np.stack([np.kron(*pair) for pair in zip(chances, factors, strict=True)])
    return chances


def q_values(levels: Levels) -> np.ndarray:
    """Return the best mean returns from each genre on, [TITLES, 243, 5].

    They are those after so many titles in each state.
    """
    clicks = click_chances(levels, STATES)  # [243, 5]
    stays = 1.0 - leaving_chances(levels)
    found = np.zeros((TITLES, *clicks.shape))
    optimum = np.zeros(len(STATES))
    for title in reversed(range(TITLES)):
        found[title] = clicks + stays * (transitions() @ optimum).T
        optimum = found[title].max(axis=1)
    return found


@functools.lru_cache(maxsize=256)
def values(levels: Levels) -> Values:
    """Return what can be had with a reader of such levels."""
    clicks = click_chances(levels, STATES)  # [243, 5]
    stays = 1.0 - leaving_chances(levels)
    greedy = clicks.argmax(axis=1)
    states = np.arange(len(STATES))
    favourite = int(np.argmax(levels))
    found = q_values(levels)
    by_greedy, at_random, by_favourite = np.zeros((3, len(STATES)))
    for _ in range(TITLES):
        by_greedy = (clicks + stays * (transitions() @ by_greedy).T)[states, greedy]
        at_random = (clicks + stays * (transitions() @ at_random).T).mean(axis=1)
        by_favourite = (clicks + stays * (transitions() @ by_favourite).T)[:, favourite]
    fresh = state_number(np.zeros(GENRES, int))
    return Values(
        float(found[0, fresh].max()),
        float(by_greedy[fresh]),
        float(at_random[fresh]),
        float(by_favourite[fresh]),
        found.argmax(axis=2),
    )


def mean_over_readers(name: str) -> float:
    """Return a return of `Values`, by its name, as the mean over all readers."""
    return float(np.mean([getattr(values(levels), name) for levels in READERS]))
