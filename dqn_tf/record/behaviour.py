"""How recorded actions are chosen, and with which probability."""

from __future__ import annotations

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.actions import explored, require_actions
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.experience.exploration import random_action


class Behaviour:
    """A policy with probability 1 - epsilon, and else a random legal action.

    Without a policy all actions are random.
    """

    def __init__(self, policy: ActFunction | None, epsilon: float, spaces: Spaces) -> None:
        self._policy = policy
        self._epsilon = epsilon
        self._spaces = spaces

    def choose(
        self, observation: np.ndarray, mask: np.ndarray | None, uniform: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the environment's actions [N] int64 and their probabilities [N] float64.

        `observation` is [N, *shape], `mask` [N, A] bool. `uniform` [N, 2] are numbers drawn from
        [0, 1): the first says whether to explore, the second how.
        """
        count = self._spaces.actions
        legal = np.full(len(observation), count) if mask is None else mask.sum(axis=1)  # [N]
        if self._policy is None:
            random = random_action(uniform[:, 1], count, mask)
            return random + self._spaces.action_start, 1.0 / legal
        answer = self._policy(observation, mask)
        chosen = require_actions(answer, len(observation), self._spaces, "The model")
        actions = explored(chosen, uniform, self._epsilon, self._spaces, mask)
        share = self._epsilon / legal
        return actions, np.where(actions == chosen, 1.0 - self._epsilon + share, share)
