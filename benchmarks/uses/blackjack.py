"""Blackjack-v1 with all its chances: what a player gets who sticks and hits by some rule.

A natural, an ace and a ten as the first two cards, beats any other 21. Cards are drawn from an
infinite deck.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DEALER_STANDS = 17
CARDS = (*range(1, 10), 10, 10, 10, 10)  # an infinite deck


class Hand(NamedTuple):
    """What a player sees, as Gymnasium tells it.

    Attributes:
      total: of the points, an ace counted as 11 where that is no more than 21.
      shown: the dealer's first card.
      usable_ace: 1 where an ace counts as 11, else 0.
    """

    total: int
    shown: int
    usable_ace: int


class Dealer(NamedTuple):
    """The chance of each final score, and that of a natural, which is one way to 21."""

    scores: dict[int, float]
    natural: float


# Makes the value of a hand from those of its two actions, stick and hit.
Choose = Callable[[Hand, float, float], float]

HANDS = [
    Hand(total, shown, usable_ace)
    for usable_ace, least in ((0, 4), (1, 12))
    for total in range(least, 22)
    for shown in range(1, 11)
]


def mean_return(choose: Choose) -> float:
    """Return the mean over all first cards."""
    values = [_deal(choose, *cards) for cards in itertools.product(CARDS, repeat=3)]
    return float(np.mean(values))


def _deal(choose: Choose, first: int, second: int, shown: int) -> float:
    """Return what a player with two cards gets."""
    total, has_ace, dealer = first + second, 1 in (first, second), _dealer(shown)
    is_natural = has_ace and total == 11
    stick = _stick(total, has_ace, dealer, is_natural)
    return choose(_hand(total, has_ace, shown), stick, _hit(choose, total, has_ace, shown))


def _hand(total: int, has_ace: bool, shown: int) -> Hand:
    return Hand(_score(total, has_ace), shown, int(has_ace and total + 10 <= 21))


def _hit(choose: Choose, total: int, has_ace: bool, shown: int) -> float:
    return float(
        np.mean([_value(choose, total + card, has_ace or card == 1, shown) for card in CARDS])
    )


@functools.cache
def _value(choose: Choose, total: int, has_ace: bool, shown: int) -> float:
    """Return what a player with three cards or more gets."""
    if total > 21:
        return -1.0
    stick = _stick(total, has_ace, _dealer(shown), is_natural=False)
    return choose(_hand(total, has_ace, shown), stick, _hit(choose, total, has_ace, shown))


def _stick(total: int, has_ace: bool, dealer: Dealer, is_natural: bool) -> float:
    """Return the mean of a comparison with the dealer."""
    score = _score(total, has_ace)
    value = sum(chance * np.sign(score - other) for other, chance in dealer.scores.items())
    if is_natural:
        value += dealer.scores.get(21, 0.0) - dealer.natural
    return float(value)


@functools.cache
def _dealer(shown: int) -> Dealer:
    """Return what a dealer whose first card is seen comes to."""
    scores: dict[int, float] = {}
    natural = 0.0
    for card in CARDS:
        has_ace = 1 in (shown, card)
        natural += (has_ace and shown + card == 11) / len(CARDS)
        _add(scores, _draw_on(shown + card, has_ace))
    return Dealer(scores, natural)


@functools.cache
def _draw_on(total: int, has_ace: bool) -> dict[int, float]:
    """Return the chance of each final score of a dealer; 0 is a bust."""
    score = _score(total, has_ace)
    if score >= DEALER_STANDS or score == 0:
        return {score: 1.0}
    scores: dict[int, float] = {}
    for card in CARDS:
        _add(scores, _draw_on(total + card, has_ace or card == 1))
    return scores


def _score(total: int, has_ace: bool) -> int:
    """Return what points with aces counted as 1 are worth; 0 above 21."""
    if total > 21:
        return 0
    return total + 10 if has_ace and total + 10 <= 21 else total


def _add(scores: dict[int, float], after_a_card: dict[int, float]) -> None:
    for score, chance in after_a_card.items():
        scores[score] = scores.get(score, 0.0) + chance / len(CARDS)
