"""What a policy answers, held to the actions that there are before one of them is played."""

from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
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
