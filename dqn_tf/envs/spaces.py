"""What the agent needs to know of an environment's spaces."""

from __future__ import annotations

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.config import kinds
from dqn_tf.support.errors import UserError

MASKED_KEYS = {"observation", "action_mask"}  # of a Dict observation with an action mask


@dataclasses.dataclass(frozen=True)
class Spaces:
    """Observations and actions as the agent sees them.

    Attributes:
      observation_shape: shape of one observation; () for a Discrete space.
      observation_dtype: dtype kept in replay and fed to the network: the space's own integer or
        bool type, float32 for every floating type.
      actions: number of actions; the agent counts them from 0.
      categories: number of values of a Discrete observation (one-hot inside the network), else 0.
      category_start: the smallest value of a Discrete observation.
      action_start: what the environment calls action 0.
      masked: whether the environment says which actions are legal.
      stack: successive frames that lie side by side in an observation's last axis, newest last; 0
        where an observation is whole.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: str
    actions: int
    categories: int = 0
    category_start: int = 0
    action_start: int = 0
    masked: bool = False
    stack: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready copy."""
        return dataclasses.asdict(self) | {"observation_shape": list(self.observation_shape)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Spaces:
        """Read `to_dict` back. Raises UserError if it is not what `to_dict` gives."""
        try:
            kinds_by_name = {field.name: str(field.type) for field in dataclasses.fields(cls)}
            cast = {name: kinds.cast(value, kinds_by_name[name]) for name, value in values.items()}
            np.dtype(cast["observation_dtype"])
            return cls(**cast)
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(
                f"These are no spaces of an environment, as dqn_tf writes them: {values!r:.200}."
            ) from error


def describe(observation_space: gym.Space, action_space: gym.Space) -> Spaces:
    """Describe the spaces of one environment.

    Raises UserError for those that DQN or its network cannot use.
    """
    if not isinstance(action_space, gym.spaces.Discrete):
        raise UserError(
            f"DQN needs a Discrete action space, and this environment has {action_space}: it"
            " chooses among numbered actions. Discretise the actions in a wrapper, or use an"
            " algorithm for continuous control."
        )
    actions = int(action_space.n)
    action_start = int(action_space.start)
    if isinstance(observation_space, gym.spaces.Dict) and set(observation_space) == MASKED_KEYS:
        spaces = describe(observation_space["observation"], action_space)
        return dataclasses.replace(spaces, masked=True)
    if isinstance(observation_space, gym.spaces.Discrete):
        return Spaces(
            (),
            "int64",
            actions,
            categories=int(observation_space.n),
            category_start=int(observation_space.start),
            action_start=action_start,
        )
    if isinstance(observation_space, gym.spaces.Box):
        is_floating = np.issubdtype(observation_space.dtype, np.floating)
        dtype = "float32" if is_floating else str(observation_space.dtype)
        return Spaces(observation_space.shape, dtype, actions, action_start=action_start)
    raise UserError(
        f"The observation space is {observation_space}: dqn_tf takes Box and Discrete observations,"
        " and a Dict of observation and action_mask. Wrap the environment in"
        " gymnasium.wrappers.FlattenObservation (Dict, Tuple, MultiDiscrete, MultiBinary) to make"
        " it a Box."
    )
