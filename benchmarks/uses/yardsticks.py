"""What the best policy, one that draws at random, and known rules get: exact where that can be."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.placement import exact, job_placement, rules
from dqn_tf.envs.placement.jobs import Kind, Machine
from dqn_tf.evaluation.library import evaluate

Rule = Callable[[Kind, Sequence[Machine]], int]
Act = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
EPISODES = 500  # of what is played
UNLIMITED = 1_000  # sweeps where there is no time limit; the best way is much shorter
DEALER_STANDS = 17
CARDS = (*range(1, 10), 10, 10, 10, 10)  # an infinite deck


class Yardsticks(NamedTuple):
    """Mean returns of one environment.

    Attributes:
      optimum: None where it is not known.
      others: by name.
    """

    optimum: float | None
    at_random: float
    others: dict[str, float]


class Dealer(NamedTuple):
    """The chance of each final score, and that of a natural, which is one way to 21."""

    scores: dict[int, float]
    natural: float


def tabular(env_id: str, env_kwargs: dict[str, Any]) -> Yardsticks:
    """Compute the means of an environment that names its transitions `P`, by value iteration.

    With a time limit the optimum knows how many steps are left; without one, it takes as many as it
    likes.
    """
    env = gym.make(env_id, **env_kwargs)
    assert env.spec is not None
    limit = env.spec.max_episode_steps
    model: Any = env.unwrapped
    chances, rewards, next_states = _transitions(model.P)
    best = by_chance = np.zeros(len(chances))
    for _ in range(limit or UNLIMITED):
        best = (chances * (rewards + best[next_states])).sum(-1).max(-1)
    for _ in range(limit or 0):
        by_chance = (chances * (rewards + by_chance[next_states])).sum(-1).mean(-1)
    if limit is None:
        by_chance = _drawn_for_ever(chances, rewards, next_states)
    start = model.initial_state_distrib
    env.close()
    return Yardsticks(float(start @ best[:-1]), float(start @ by_chance[:-1]), {})


def _drawn_for_ever(
    chances: np.ndarray, rewards: np.ndarray, next_states: np.ndarray
) -> np.ndarray:
    """Return the values [S + 1] of drawing actions until the end: v = r + P v."""
    states, actions, _ = chances.shape
    moves = np.zeros((states, states))
    for state, action, outcome in np.argwhere(chances):
        place = state, action, outcome
        moves[state, next_states[place]] += chances[place] / actions
    gained = (chances * rewards).sum(-1).mean(-1)
    return np.linalg.solve(np.eye(states) - moves, gained)


def _transitions(model: dict[int, dict[int, list[Any]]]) -> tuple[np.ndarray, ...]:
    """Return chances, rewards and next states [S + 1, A, K]; state S is the end."""
    states, actions = len(model), len(model[0])
    outcomes = max(len(model[state][action]) for state in model for action in model[state])
    shape = (states + 1, actions, outcomes)
    chances, rewards = np.zeros(shape), np.zeros(shape)
    next_states = np.full(shape, states)
    for state in range(states):
        for action in range(actions):
            for number, (chance, after, reward, is_end) in enumerate(model[state][action]):
                place = state, action, number
                chances[place], rewards[place] = chance, reward
                next_states[place] = states if is_end else after
    return chances, rewards, next_states


def blackjack() -> Yardsticks:
    """Compute the means of Blackjack-v1, where a natural beats any other 21."""

    def mean(choose: Callable[[float, float], float]) -> float:
        values = [_hand(choose, *cards) for cards in itertools.product(CARDS, repeat=3)]
        return float(np.mean(values))

    return Yardsticks(
        mean(max),
        mean(lambda stick, hit: (stick + hit) / 2),
        {"never hit": mean(lambda stick, hit: stick)},
    )


def _hand(choose: Callable[[float, float], float], first: int, second: int, shown: int) -> float:
    """Return what a player with two cards gets, the dealer's first is `shown`.

    `choose` makes the value of a state from those of its two actions, stick and hit.
    """
    dealer = _dealer(shown)
    has_ace = 1 in (first, second)
    is_natural = has_ace and first + second == 11
    return choose(
        _stick(first + second, has_ace, dealer, is_natural),
        _hit(choose, first + second, has_ace, shown),
    )


def _hit(choose: Callable[[float, float], float], total: int, has_ace: bool, shown: int) -> float:
    return float(
        np.mean([_value(choose, total + card, has_ace or card == 1, shown) for card in CARDS])
    )


@functools.cache
def _value(choose: Callable[[float, float], float], total: int, has_ace: bool, shown: int) -> float:
    """Return what a player with three cards or more gets."""
    if total > 21:
        return -1.0
    stick = _stick(total, has_ace, _dealer(shown), is_natural=False)
    return choose(stick, _hit(choose, total, has_ace, shown))


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


def placement(sizes: dict[str, int], is_exact: bool) -> Yardsticks:
    """Compute the means of JobPlacement; those of sizes with too many states are played."""
    config = DQNConfig(env=job_placement.ENV_ID, env_kwargs=sizes)

    def of_rule(rule: Rule) -> float:
        if is_exact:
            return exact.rule_return(rule, **sizes)
        return evaluate(_by_rule(rule, sizes), config, EPISODES).mean

    return Yardsticks(
        exact.optimum(**sizes) if is_exact else None,
        evaluate(_at_random(np.random.default_rng(0)), config, EPISODES).mean,
        {name: of_rule(rule) for name, rule in rules.RULES.items()},
    )


def _by_rule(rule: Rule, sizes: dict[str, int]) -> Act:
    """Return what reads JobPlacement's observations [N, 2 M + 4] and chooses by a rule."""
    size = np.array([sizes["cores"], sizes["memory"]])

    def choose(observation: np.ndarray) -> int:
        shares = observation[:-2].reshape(-1, 2)
        *machines, (cores, memory) = np.rint(shares * size).astype(int).tolist()
        return rule(Kind("", cores, memory, 0.0, 0.0), [tuple(machine) for machine in machines])

    return lambda observations, masks: np.array([choose(each) for each in observations])


def _at_random(generator: np.random.Generator) -> Act:
    """Return what draws one of the legal actions."""

    def act(observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        assert masks is not None
        return np.array([generator.choice(np.flatnonzero(mask)) for mask in masks])

    return act
