"""What a policy answers, held to the actions that there are, and what is played in its place."""

from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.exploration import random_action
from dqn_tf.support.errors import UserError


def require_actions(answer: Any, count: int, spaces: Spaces, policy: str) -> np.ndarray:
    """Return the answer to `count` observations as actions [count], integers of the environment's.

    `policy` says in a sentence whose answer it is. Raises UserError if it is something else.
    """
    first = spaces.action_start
    last = first + spaces.actions - 1
    actions = np.asarray(answer)
    if actions.dtype.kind not in "iu" or actions.shape != (count,):
        raise UserError(
            f"{policy} returned {actions.dtype} {list(actions.shape)} for {count} observations: it"
            f" must return as many whole numbers, its actions from {first} to {last}."
        )
    if count and (actions.min() < first or actions.max() > last):
        wrong = actions[(actions < first) | (actions > last)][0]
        raise UserError(
            f"{policy} chose the action {wrong}, and the environment has those from {first} to"
            f" {last}."
        )
    return actions


def explored(
    chosen: np.ndarray,
    uniform: np.ndarray,
    epsilon: float,
    spaces: Spaces,
    mask: np.ndarray | None,
) -> np.ndarray:
    """Return the actions [N], a random legal one in the place of some with probability `epsilon`.

    `uniform` [N, 2] are numbers drawn from [0, 1): the first says whether to explore, the second
    how. `chosen` [N] and the result are the environment's own actions; `mask` is [N, A] bool.
    """
    drawn = random_action(uniform[:, 1], spaces.actions, mask) + spaces.action_start
    return np.where(uniform[:, 0] < epsilon, drawn, chosen)
