"""Fitted Q evaluation: the evaluated policy's Q-values by regression, without its playing.

Fitted Q evaluation (Le, Voloshin and Yue 2019, "Batch policy learning under constraints") regresses
r + γ Σ_a π(a|s') Q(s', a) on features of (s, a), again and again. With linear features, one weight
vector for each action, the regression that nothing changes any more is one linear system (Duan, Jia
and Wang 2020, "Minimax-optimal off-policy evaluation with linear function approximation"):

    A w = b,  A = Σ φ(s, a) (φ(s, a) − γ Σ_a' π(a'|s') φ(s', a'))ᵀ,  b = Σ φ(s, a) r.

It is solved at once. With a table of observations this is the exact value of the empirical MDP.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.off_policy.features import Features
from dqn_tf.evaluation.off_policy.folds import Chunk, chunks, fold_of
from dqn_tf.evaluation.off_policy.steps import LoggedSteps
from dqn_tf.evaluation.off_policy.target import TargetProbabilities
from dqn_tf.experience.logged.episodes import LoggedEpisodes

# added to A's diagonal for each row: of a table next to nothing, so that it stays exact, and what
# was never tried is worth 0
RIDGE = {True: 1e-12, False: 2e-6}


@dataclasses.dataclass(frozen=True)
class Fit:
    """Q-values that were fitted, and what they are made of.

    Attributes:
      value: [E], of each episode's first observation under the evaluated policy.
      influence: [E], how much each episode moves the mean of `value`, times E; its mean is 0.
      weight: [M], how often the evaluated policy would be at each row, over how often the data are
        (the dual of the linear system). Its square sum gives the effective sample size.
      crossed_q: [M], Q of the action taken, fitted to the other parts of the episodes.
      crossed_next: [M], the value after each row, likewise; 0 where nothing comes after.
      crossed_value: [E], as `value`, likewise.
    """

    value: np.ndarray
    influence: np.ndarray
    weight: np.ndarray
    crossed_q: np.ndarray
    crossed_next: np.ndarray
    crossed_value: np.ndarray


class _Rows(NamedTuple):
    """The features of a chunk: [m, K] of its rows, and [m, K] of what comes after each."""

    here: np.ndarray
    after: np.ndarray  # 0 where nothing comes after
    pi_after: np.ndarray  # [m, A]


class _Solution(NamedTuple):
    """Weights [A K] from all episodes, the dual's, and those from outside of each part [F, A K]."""

    whole: np.ndarray
    dual: np.ndarray
    crossed: np.ndarray


def fit_q(
    episodes: LoggedEpisodes,
    steps: LoggedSteps,
    target: TargetProbabilities,
    features: Features,
    check: Callable[[], None] = lambda: None,
) -> Fit:
    """Fit Q of the evaluated policy to all episodes, and to those outside of each part.

    `check` is called now and then, and may raise.

    Where a system has no solution, such as that of an endless loop without a discount, the values
    are not finite.
    """
    actions = target.row.shape[1]
    width = features.count * actions
    fold = fold_of(steps.count)
    folds = int(fold.max()) + 1
    matrix = np.zeros((folds, width, width))
    vector = np.zeros((folds, width))
    first = np.zeros(width)  # the sum of each episode's first observation
    for chunk in chunks(steps):
        check()
        rows = _rows(episodes, steps, target, features, chunk)
        fold_of_row = fold[steps.episode[chunk.rows]]
        for part in range(folds):
            _add(matrix[part], vector[part], rows, steps, chunk, fold_of_row == part)
        own = steps.starts[chunk.episodes]
        first += (target.row[own].T @ rows.here[own - chunk.rows.start]).ravel()
    ridge = RIDGE[features.is_table] * len(steps) * np.eye(width)
    whole = matrix.sum(axis=0) + ridge
    solution = _solve(whole, vector.sum(axis=0))
    dual = _solve(whole.T, first / steps.count)
    crossed = np.array([solution] * folds)
    for part in range(folds if folds > 1 else 0):
        others = vector.sum(axis=0) - vector[part]
        crossed[part] = _solve(whole - matrix[part], others)
    return _ask(episodes, steps, target, features, _Solution(solution, dual, crossed))


def _rows(
    episodes: LoggedEpisodes,
    steps: LoggedSteps,
    target: TargetProbabilities,
    features: Features,
    chunk: Chunk,
) -> _Rows:
    here = features(episodes.observation[chunk.rows])
    last = steps.last_rows[chunk.episodes] - chunk.rows.start
    goes_on = steps.goes_on[chunk.episodes] & episodes.has_final[chunk.episodes]
    after = np.roll(here, -1, axis=0)
    after[last] = 0.0
    after[last[goes_on]] = features(episodes.final_observation[chunk.episodes][goes_on])
    pi_after = np.roll(target.row[chunk.rows], -1, axis=0)
    pi_after[last] = target.final[chunk.episodes]
    return _Rows(here, after, pi_after)


def _add(
    matrix: np.ndarray,
    vector: np.ndarray,
    rows: _Rows,
    steps: LoggedSteps,
    chunk: Chunk,
    is_own: np.ndarray,
) -> None:
    """Add the chunk's own rows of one part to A [A K, A K] and b [A K]."""
    width = rows.here.shape[1]
    actions = rows.pi_after.shape[1]
    action = steps.action[chunk.rows]
    reward = steps.reward[chunk.rows]
    for taken in range(actions):
        own = np.flatnonzero(is_own & steps.is_known[chunk.rows] & (action == taken))
        if not len(own):
            continue
        here, after = rows.here[own], rows.after[own]
        block = slice(taken * width, (taken + 1) * width)
        vector[block] += reward[own] @ here
        matrix[block, block] += here.T @ here
        for next_action in range(actions):
            probability = steps.gamma * rows.pi_after[own, next_action]
            chosen = np.flatnonzero(probability)
            other = slice(next_action * width, (next_action + 1) * width)
            matrix[block, other] -= here[chosen].T @ (
                after[chosen] * probability[chosen, np.newaxis]
            )


def _ask(
    episodes: LoggedEpisodes,
    steps: LoggedSteps,
    target: TargetProbabilities,
    features: Features,
    solution: _Solution,
) -> Fit:
    """Ask the solution about all rows."""
    actions = target.row.shape[1]
    weight, error, crossed_q, crossed_next = np.zeros((4, len(steps)))
    value, crossed_value = np.zeros((2, steps.count))
    fold = fold_of(steps.count)
    for chunk in chunks(steps):
        rows = _rows(episodes, steps, target, features, chunk)
        taken = np.arange(actions) == steps.action[chunk.rows][:, np.newaxis]  # [m, A]
        all_q = _values(rows.here, solution.whole, actions)
        after = (_values(rows.after, solution.whole, actions) * rows.pi_after).sum(axis=1)
        weight[chunk.rows] = (_values(rows.here, solution.dual, actions) * taken).sum(axis=1)
        q = (all_q * taken).sum(axis=1)
        error[chunk.rows] = steps.reward[chunk.rows] + steps.gamma * after - q
        first = steps.starts[chunk.episodes]
        value[chunk.episodes] = (all_q * target.row[chunk.rows]).sum(axis=1)[
            first - chunk.rows.start
        ]
        fold_of_row = fold[steps.episode[chunk.rows]]
        for part, crossed in enumerate(solution.crossed):
            own = np.flatnonzero(fold_of_row == part)
            places = own + chunk.rows.start
            all_q = _values(rows.here[own], crossed, actions)
            crossed_q[places] = (all_q * taken[own]).sum(axis=1)
            is_first = steps.time[places] == 0
            crossed_value[steps.episode[places[is_first]]] = (
                all_q[is_first] * target.row[places[is_first]]
            ).sum(axis=1)
            all_q = _values(rows.after[own], crossed, actions)
            crossed_next[places] = (all_q * rows.pi_after[own]).sum(axis=1)
    influence = value + steps.count * steps.sums(weight * error * steps.is_known)
    influence -= influence.mean()
    return Fit(value, influence, weight, crossed_q, crossed_next, crossed_value)


def _solve(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrix, vector)
    except np.linalg.LinAlgError:
        return np.full(len(vector), np.nan)


def _values(features: np.ndarray, weights: np.ndarray, actions: int) -> np.ndarray:
    """Return a value for each action, [m, K] and [A K] → [m, A]."""
    return features @ weights.reshape(actions, -1).T
