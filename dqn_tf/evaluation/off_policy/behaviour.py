"""The policy that made the data, where the data do not say it: counted, or a logistic regression.

A row's probability comes from the other parts of the episodes only: fitted to its own action, every
ratio would be drawn towards 1.
"""

import numpy as np

from dqn_tf.evaluation.off_policy.features import Features, Table
from dqn_tf.evaluation.off_policy.folds import chunks, fold_of
from dqn_tf.evaluation.off_policy.steps import LoggedSteps
from dqn_tf.experience.logged.episodes import LoggedEpisodes

MOST_ROWS = 20_000  # that a regression is fitted to
RIDGE = 1e-4  # times half the squared weights of whitened features, beside the mean cross-entropy
PRIOR = 0.5  # of a count: half a step with each legal action
ITERATIONS = 50


def fit_behaviour(
    episodes: LoggedEpisodes, steps: LoggedSteps, features: Features, actions: int
) -> np.ndarray:
    """Return the behaviour's probability of each action at each step, [M, A] float64."""
    fold = fold_of(steps.count)[steps.episode]  # [M]
    legal = episodes.action_mask
    if legal is None:
        legal = np.ones((len(steps), actions), bool)
    if isinstance(features, Table):
        return _counted(features, episodes, legal, fold)
    probability = np.empty((len(steps), actions))
    parts = np.unique(fold)
    weights: list[np.ndarray] = []
    for part in parts:
        others = np.flatnonzero(fold != part) if len(parts) > 1 else np.arange(len(steps))
        sample = others[:: max(1, len(others) // MOST_ROWS)]
        start = weights[-1] if weights else None  # the parts before have nearly the same data
        weights.append(
            _regression(
                features(episodes.observation[sample]),
                episodes.action[sample],
                legal[sample],
                start,
            )
        )
    for chunk in chunks(steps):
        rows = features(episodes.observation[chunk.rows])
        for part, weight in zip(parts, weights, strict=True):
            own = np.flatnonzero(fold[chunk.rows] == part)
            places = own + chunk.rows.start
            probability[places] = _softmax(rows[own] @ weight, legal[places])
    return probability


def _counted(
    table: Table, episodes: LoggedEpisodes, legal: np.ndarray, fold: np.ndarray
) -> np.ndarray:
    """Return the shares of the actions among the other parts' steps, observation by observation."""
    observation, action = episodes.observation, episodes.action
    count = table.counts(observation, action, legal.shape[1])
    probability = np.empty(legal.shape)
    parts = np.unique(fold)
    for part in parts:
        own = fold == part
        others = count
        if len(parts) > 1:
            others = count - table.counts(observation[own], action[own], legal.shape[1])
        smoothed = (others[observation[own] - table.start] + PRIOR) * legal[own]
        probability[own] = smoothed / smoothed.sum(axis=1, keepdims=True)
    return probability


def _regression(
    features: np.ndarray, action: np.ndarray, legal: np.ndarray, start: np.ndarray | None
) -> np.ndarray:
    """Return the weights [K, A] of a multinomial logistic regression."""
    from scipy import linalg, optimize  # takes a second to import

    count, width = features.shape
    taken = np.eye(legal.shape[1])[action]
    shape = (width, legal.shape[1])
    # features that are all of one size and not alike: ten times fewer steps to the optimum
    second_moment = features.T @ features / count + RIDGE * np.eye(width)
    whitening = linalg.inv(linalg.cholesky(second_moment))  # upper triangular
    features = features @ whitening

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight = flat.reshape(shape)
        probability = _softmax(features @ weight, legal)
        chosen = probability[np.arange(count), action]
        value = -np.log(np.maximum(chosen, 1e-300)).mean() + RIDGE / 2 * (flat**2).sum()
        gradient = features.T @ (probability - taken) / count + RIDGE * weight
        return value, gradient.ravel()

    first = np.zeros(shape) if start is None else linalg.solve(whitening, start)
    options = {"maxiter": ITERATIONS}
    found = optimize.minimize(loss, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    return whitening @ found.x.reshape(shape)


def _softmax(logits: np.ndarray, legal: np.ndarray) -> np.ndarray:
    """Return probabilities [N, A] of the legal actions; the others have none."""
    logits = np.where(legal, logits, -np.inf)
    likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
    return likelihood / likelihood.sum(axis=1, keepdims=True)
