"""Exact returns of a helpdesk that knows what each sentence can mean, by dynamic programming.

What is known of the customer is always a set of issues, each equally likely: one issue after a
clear complaint, a pair after an ambiguous one, all after a vague one. A question about a pair
leaves one issue of it, or the set without the pair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

CLEAR, AMBIGUOUS, VAGUE = 0.45, 0.45, 0.10  # chances of the kinds of complaints
RIGHT, WRONG, ASKING = 1.0, -1.0, -0.1
TURNS = 4

Issues = frozenset[int]
Combine = Callable[[list[float]], float]


class IssueBeliefs:
    """The helpdesk of so many pairs of issues; issues 2 p and 2 p + 1 are pair p.

    Action a below the number of issues answers as to issue a; the others ask about a pair each.
    """

    def __init__(self, pairs: int) -> None:
        self.pairs = pairs
        self.issues = 2 * pairs
        self._value = functools.lru_cache(maxsize=None)(self._compute_value)

    def optimum(self) -> float:
        """Return the best mean return."""
        return self._over_complaints(max, can_ask=True)

    def optimum_without_asking(self) -> float:
        """Return the best mean return of answering at once."""
        return self._over_complaints(max, can_ask=False)

    def at_random(self) -> float:
        """Return the mean return of actions that are equally likely."""
        return self._over_complaints(_mean, can_ask=True)

    def q_values(self, possible: Issues, turns: int, can_ask: bool = True) -> list[float]:
        """Return the best returns from each action on, with so many turns left."""
        return self._returns(possible, turns, max, can_ask)

    def after_question(self, possible: Issues, pair: int) -> list[tuple[float, Issues]]:
        """Return what may be known after a question about a pair, and how likely it is."""
        asked = possible & {2 * pair, 2 * pair + 1}
        chance = 1.0 / len(possible)
        outcomes = [(chance, frozenset([issue])) for issue in sorted(asked)]
        rest = possible - asked
        return [*outcomes, (len(rest) * chance, rest)] if rest else outcomes

    def _over_complaints(self, combine: Combine, can_ask: bool) -> float:
        by_kind = [
            (CLEAR, frozenset([0])),
            (AMBIGUOUS, frozenset([0, 1])),
            (VAGUE, frozenset(range(self.issues))),
        ]
        return sum(
            chance * self._value(possible, TURNS, combine, can_ask) for chance, possible in by_kind
        )

    def _compute_value(
        self, possible: Issues, turns: int, combine: Combine, can_ask: bool
    ) -> float:
        if turns == 0:
            return 0.0
        return combine(self._returns(possible, turns, combine, can_ask))

    def _returns(
        self, possible: Issues, turns: int, combine: Combine, can_ask: bool
    ) -> list[float]:
        right = 1.0 / len(possible)
        returns = [
            right * RIGHT + (1.0 - right) * WRONG if issue in possible else WRONG
            for issue in range(self.issues)
        ]
        if not can_ask:
            return returns
        for pair in range(self.pairs):
            rest = (
                chance * self._value(known, turns - 1, combine, can_ask)
                for chance, known in self.after_question(possible, pair)
            )
            returns.append(ASKING + sum(rest))
        return returns


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
