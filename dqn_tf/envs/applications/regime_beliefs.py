"""Exact returns of alerts on a hidden change, by dynamic programming.

The market is calm at first. Before each text it turns to stress with chance HAZARD, for good. One
who knows what each text means holds a belief, the chance of stress; the optimum is a dynamic
program over it on a fine grid. Rules that look at the last few texts only are followed exactly,
over all that these may be.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

HAZARD = 0.05
NEGATIVE = (0.2, 0.6)  # chance of a negative text, in calm and in stress
TEXTS = 40  # of a stream
RIGHT, FALSE_ALARM, LATE = 1.0, -1.0, -0.05
POINTS = 20_001  # of the grid; ten times fewer change the optimum by less than 1e-6


class Stopping(NamedTuple):
    """The best way to alert.

    Attributes:
      optimum: its mean return.
      threshold: [TEXTS] float64, the belief from which on to alert, after each text; above 1 where
        no belief is enough.
    """

    optimum: float
    threshold: np.ndarray


def chances_of_negative(noise: float) -> tuple[float, float]:
    """Return the chance of a negative text in calm and stress, if so many mean the opposite."""
    calm, stress = (chance + noise * (1.0 - 2.0 * chance) for chance in NEGATIVE)
    return calm, stress


def updated(belief: np.ndarray, is_negative: bool, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the belief after one more text, and the chance of such a text."""
    calm, stress = chances_of_negative(noise)
    likelihood = (calm, stress) if is_negative else (1.0 - calm, 1.0 - stress)
    turned = belief + (1.0 - belief) * HAZARD
    chance = (1.0 - turned) * likelihood[0] + turned * likelihood[1]
    return turned * likelihood[1] / chance, chance


def best_stopping(noise: float) -> Stopping:
    """Return the optimum and its thresholds."""
    grid = np.linspace(0.0, 1.0, POINTS)
    alert = grid * RIGHT + (1.0 - grid) * FALSE_ALARM
    threshold = np.full(TEXTS, np.inf)
    value = np.zeros(POINTS)  # after the last text
    for text in reversed(range(TEXTS)):
        wait = LATE * grid
        if text + 1 < TEXTS:
            wait = wait + _expected(grid, value, grid, noise)
        alerts = alert >= wait
        if alerts.any():
            threshold[text] = grid[alerts.argmax()]
        value = np.maximum(alert, wait)
    return Stopping(float(_expected(grid, value, np.zeros(1), noise)[0]), threshold)


def _expected(grid: np.ndarray, value: np.ndarray, belief: np.ndarray, noise: float) -> np.ndarray:
    """Return the mean value after one more text."""
    mean = np.zeros(len(belief))
    for is_negative in (False, True):
        following, chance = updated(belief, is_negative, noise)
        mean += chance * np.interp(following, grid, value)
    return mean


def never(noise: float = 0.0) -> float:
    """Return the mean return of one who never alerts."""
    return rule_return(np.zeros(2, bool), noise)


def count_rule(needed: int, window: int) -> np.ndarray:
    """Return the rule that alerts if so many of the last `window` texts are negative, [2^window].

    Bit b of a rule's index says that the text b before the last one is negative.
    """
    negatives = (np.arange(2**window)[:, np.newaxis] >> np.arange(window)) & 1
    return negatives.sum(axis=1) >= needed


def belief_rules(
    window: int, threshold: float, prior: float, noise: float = 0.0
) -> list[np.ndarray]:
    """Return rules that alert by the belief that the last texts give, one after each text.

    While no text has left the window, it is the belief of all texts. After that it begins at
    `prior` before the first text of the window.
    """
    rules = []
    for texts in range(1, TEXTS + 1):
        index = np.arange(2**window)
        belief = np.full(len(index), prior if texts > window else 0.0)
        for bit in reversed(range(min(texts, window))):
            negative = (index >> bit) & 1 == 1
            if_negative, if_other = (updated(belief, said, noise)[0] for said in (True, False))
            belief = np.where(negative, if_negative, if_other)
        rules.append(belief >= threshold)
    return rules


def rule_return(rule: np.ndarray | list[np.ndarray], noise: float = 0.0) -> float:
    """Return the mean return of a rule [2^window], or of rules, one after each text.

    Texts before the first count as not negative.
    """
    rules = rule if isinstance(rule, list) else [rule] * TEXTS
    waiting = np.zeros((2, len(rules[0])))  # chances of calm and stress by window, without an alert
    waiting[0, 0] = 1.0
    total = 0.0
    shifted = np.arange(len(rules[0])) * 2 % len(rules[0])
    for alerts in rules:
        calm, stress = waiting
        turned = np.stack([calm * (1.0 - HAZARD), stress + calm * HAZARD])
        read = np.zeros_like(turned)
        for regime, negative in enumerate(chances_of_negative(noise)):
            np.add.at(read[regime], shifted, turned[regime] * (1.0 - negative))
            np.add.at(read[regime], shifted + 1, turned[regime] * negative)
        alarm = read[:, alerts].sum(axis=1)
        total += FALSE_ALARM * alarm[0] + RIGHT * alarm[1]
        waiting = np.where(alerts, 0.0, read)
        total += LATE * waiting[1].sum()
    return float(total)
