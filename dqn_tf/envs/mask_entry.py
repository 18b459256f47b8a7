"""Finds the mask of legal actions among the entries of a Dict observation.

dqn_tf knows `observation` and `action_mask`. Others call the first one `observations`, `obs` or
`state`, or have further entries beside it.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs import returned
from dqn_tf.envs.observing import Observing
from dqn_tf.envs.spaces import MASK, without_mask


class MaskApart(Observing):
    """Observes `observation` and `action_mask` where a Dict has a mask beside other entries.

    The observation is the one entry that is left; several are a Dict of them. It is for spaces
    whose `mask_names` are not empty.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self._names = mask_names(env.observation_space, env.action_space)
        self.observation_space = named_pair(env.observation_space, self._names)

    def observation(self, observation: Any) -> dict[str, Any]:
        """Return the mask and what lies beside it. Raises Refused if an entry is missing."""
        returned.require_entries(observation, (*self._names, MASK))
        return {"observation": beside_mask(observation, self._names), MASK: observation[MASK]}


def mask_names(space: gym.Space, action_space: gym.Space) -> tuple[Any, ...]:
    """Return the names of the entries beside a mask; none where there is nothing to find.

    There is not in a Dict of `observation` and `action_mask`, nor if an `action_mask` does not say
    0 or 1 of each action.
    """
    if not isinstance(space, gym.spaces.Dict) or without_mask(space)[1] or MASK not in space.spaces:
        return ()
    if not isinstance(action_space, gym.spaces.Discrete):
        return ()
    names = tuple(name for name in space.spaces if name != MASK)
    return names if _is_mask(space[MASK], int(action_space.n)) else ()


def named_pair(space: Any, names: tuple[Any, ...]) -> gym.Space:
    """Return the Dict space of `observation`, which has these names in `space`, and its mask."""
    # a Dict keeps the order of pairs, and sorts the keys of a dict
    pairs = [(name, space[name]) for name in names]
    proper = pairs[0][1] if len(pairs) == 1 else gym.spaces.Dict(pairs)
    return gym.spaces.Dict([("observation", proper), (MASK, space[MASK])])


def beside_mask(observation: Any, names: tuple[Any, ...]) -> Any:
    """Return what lies beside the mask: the entry of the one name, or a dict of several."""
    if len(names) == 1:
        return observation[names[0]]
    return {name: observation[name] for name in names}


def _is_mask(space: gym.Space, actions: int) -> bool:
    """Tell whether a space says 0 or 1 of each action."""
    if space.shape != (actions,):
        return False
    if isinstance(space, gym.spaces.MultiBinary):
        return True
    if isinstance(space, gym.spaces.MultiDiscrete):
        return bool((space.nvec == 2).all() and not np.any(space.start))
    if isinstance(space, gym.spaces.Box):
        return bool((space.low == 0).all() and (space.high == 1).all())
    return False
