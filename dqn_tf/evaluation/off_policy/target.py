"""The evaluated policy's probabilities of all actions, wherever the data have been."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.experience.logged.episodes import LoggedEpisodes

BATCH = 4096  # observations that the policy is asked about at a time


class TargetProbabilities(NamedTuple):
    """The probabilities of the evaluated policy's actions, float64.

    Attributes:
      row: [M, A], at each logged step.
      final: [E, A], after each episode's last step; of no meaning where that is not known, or the
        end.
    """

    row: np.ndarray
    final: np.ndarray


def target_probabilities(
    policy: ActFunction,
    episodes: LoggedEpisodes,
    spaces: Spaces,
    epsilon: float,
    check: Callable[[], None] = lambda: None,
) -> TargetProbabilities:
    """Ask the policy about every observation.

    With probability `epsilon` it takes any legal action instead of its own, as exploration does.
    `check` is called before each batch and may raise.
    """

    def ask(observation: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        parts = [np.empty((0, spaces.actions))]
        for start in range(0, len(observation), BATCH):
            check()
            rows = slice(start, start + BATCH)
            legal = None if mask is None else mask[rows]
            action = np.asarray(policy(observation[rows], legal)) - spaces.action_start
            parts.append(epsilon_greedy(action, spaces.actions, epsilon, legal))
        return np.concatenate(parts)

    return TargetProbabilities(
        ask(episodes.observation, episodes.action_mask),
        _asked_where_known(ask, episodes, spaces.actions),
    )


def epsilon_greedy(
    action: np.ndarray, actions: int, epsilon: float, mask: np.ndarray | None
) -> np.ndarray:
    """Return the probabilities [N, A] of actions [N] that are taken but for exploration."""
    count = len(action)
    legal = np.ones((count, actions), bool) if mask is None else mask
    probability = epsilon * legal / legal.sum(axis=1, keepdims=True)
    probability[np.arange(count), action] += 1.0 - epsilon
    return probability


def _asked_where_known(
    ask: Callable[[np.ndarray, np.ndarray | None], np.ndarray],
    episodes: LoggedEpisodes,
    actions: int,
) -> np.ndarray:
    """Return the probabilities after each episode that was cut, uniform where it is not known."""
    known = episodes.has_final & ~episodes.terminated[episodes.last_rows]
    probability = np.full((episodes.count, actions), 1.0 / actions)
    mask = None if episodes.final_mask is None else episodes.final_mask[known]
    probability[known] = ask(episodes.final_observation[known], mask)
    return probability
