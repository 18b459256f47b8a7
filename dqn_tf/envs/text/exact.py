"""Exact returns of small tasks, by dynamic programming from the last state to the first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

END = -1  # in place of a successor


class Model(NamedTuple):
    """A task as tables. Every state leads to later ones only, so the time is part of it.

    Attributes:
      successor: [S, A] int64, the state that an action leads to, or END.
      reward: [S, A] float64.
      succeeds: [S, A], whether the action ends an episode as it should end, or the chance of it.
      starts: [N] int64, states in which episodes begin, equally likely.
    """

    successor: np.ndarray
    reward: np.ndarray
    succeeds: np.ndarray
    starts: np.ndarray


def optimum(model: Model) -> float:
    """Return the best mean return over the starts."""
    return _mean(model, _values(model, model.reward, None))


def mean_return(model: Model, policy: np.ndarray) -> float:
    """Return the mean return of a policy, its chances of the actions [S, A]."""
    return _mean(model, _values(model, model.reward, policy))


def success(model: Model, policy: np.ndarray) -> float:
    """Return the chance that an episode of a policy [S, A] succeeds."""
    return _mean(model, _values(model, model.succeeds.astype(float), policy))


def best_policy(model: Model) -> np.ndarray:
    """Return a policy with the best mean return, [S, A] of zeros and ones."""
    values = _values(model, model.reward, None)
    q_values = model.reward + _after(model.successor, values)
    return greedy(q_values)


def greedy(scores: np.ndarray) -> np.ndarray:
    """Return the policy that takes the first action with the highest score [S, A]."""
    policy = np.zeros(scores.shape)
    policy[np.arange(len(scores)), scores.argmax(axis=1)] = 1.0
    return policy


def uniform(model: Model) -> np.ndarray:
    """Return the policy that takes every action equally often, [S, A]."""
    return np.full(model.reward.shape, 1.0 / model.reward.shape[1])


def best_of(model: Model, policy: np.ndarray, tries: int, unit: float = 1.0) -> float:
    """Return the mean of the best of so many returns from one start.

    Rewards must be whole multiples of `unit`.
    """
    lowest, chances = _return_chances(model, policy, unit)
    at_most = np.cumsum(chances[model.starts], axis=1) ** tries  # [N, returns]
    best = np.diff(at_most, axis=1, prepend=0.0)
    returns = (lowest + np.arange(best.shape[1])) * unit
    return float((best @ returns).mean())


def _return_chances(model: Model, policy: np.ndarray, unit: float) -> tuple[int, np.ndarray]:
    """Return the lowest return in units, and the chances of each from it up, [S, returns]."""
    rewards = np.rint(model.reward / unit).astype(np.int64)
    lowest = min(0, -round(_values(model, -rewards, None).max()))
    highest = max(0, round(_values(model, rewards, None).max()))
    chances = np.zeros((len(rewards), highest - lowest + 1))
    ended = np.zeros(chances.shape[1])
    ended[-lowest] = 1.0
    for state in reversed(range(len(rewards))):
        for action in np.flatnonzero(policy[state]):
            successor = model.successor[state, action]
            rest = ended if successor == END else chances[successor]
            # nothing leaves the array: no return is below the lowest or above the highest
            moved = np.roll(rest, rewards[state, action])
            chances[state] += policy[state, action] * moved
    return lowest, chances


def _values(model: Model, reward: np.ndarray, policy: np.ndarray | None) -> np.ndarray:
    """Return the values of all states [S], of a policy or, without one, of the best."""
    values = np.zeros(len(reward))
    for state in reversed(range(len(reward))):
        q_values = reward[state] + _after(model.successor[state], values)
        values[state] = q_values.max() if policy is None else policy[state] @ q_values
    return values


def _after(successor: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.where(successor == END, 0.0, values[successor])


def _mean(model: Model, values: np.ndarray) -> float:
    return float(values[model.starts].mean())
