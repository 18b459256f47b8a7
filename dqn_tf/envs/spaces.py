"""What the agent needs to know of an environment's spaces."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.config import kinds
from dqn_tf.envs.pictures import LARGE, picture_layout, picture_shape
from dqn_tf.envs.tokens import Tokens, vocabulary_of
from dqn_tf.support.errors import UserError, describe_value

MASK = "action_mask"
MASKED_KEYS = {"observation", MASK}  # of a Dict observation with an action mask


@dataclasses.dataclass(frozen=True)
class Spaces:
    """Observations and actions as the agent sees them.

    Attributes:
      observation_shape: shape of one observation; () for a Discrete space.
      observation_dtype: dtype kept in replay and fed to the network: the space's own integer or
        bool type, float32 for every floating type.
      actions: number of actions; the agent counts them from 0.
      categories: number of values of a Discrete observation, or of each token of an observation
        [T]; one-hot inside the network. 0 where observations are numbers.
      category_start: the smallest of these values.
      action_start: what the environment calls action 0.
      masked: whether the environment says which actions are legal.
      stack: successive frames that lie side by side in an observation's last axis, newest last; 0
        where an observation is whole.
      picture: how the axes of a picture lie, one of `pictures.CHANNELS_LAST`; empty where an
        observation is none. If it is not given, bytes are taken for pixels from 0 to 255.
      padding: the token that fills an observation behind its end; None where there is none.
      messages: messages that the state consists of, each as many tokens with the number of who
        spoke before them (`dialogues.ROLES`); 0 where the state is one text.
      choices: places for choices told as texts, which lie behind the state in an observation of
        tokens: then `actions` is that number, too. 0 where actions are only numbers.
      choice_tokens: tokens of each of these places.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: str
    actions: int
    categories: int = 0
    category_start: int = 0
    action_start: int = 0
    masked: bool = False
    stack: int = 0
    picture: str | None = None
    padding: int | None = None
    choices: int = 0
    choice_tokens: int = 0
    messages: int = 0

    def __post_init__(self) -> None:
        if self.picture is None:
            has_pixels = self.observation_dtype == "uint8"
            layout = picture_layout(self.observation_shape, has_pixels)
            object.__setattr__(self, "picture", layout)

    @property
    def vocabulary(self) -> int:
        """The number of tokens where an observation is a sequence of them, [T]; else 0."""
        return self.categories if self.observation_shape else 0

    @property
    def text_tokens(self) -> int:
        """Tokens of the state in an observation of tokens; those of the choices lie behind it."""
        return self.observation_shape[0] - self.choices * self.choice_tokens

    def of_state(self) -> Spaces:
        """Return the spaces of the state alone, without the choices told as texts behind it."""
        if not self.choices:
            return self
        shape = (self.text_tokens,)
        return dataclasses.replace(self, observation_shape=shape, choices=0, choice_tokens=0)

    @property
    def encoded_width(self) -> int:
        """How many numbers an observation is inside the network, before its first layer."""
        return max(1, self.categories) * math.prod(self.observation_shape)

    @property
    def picture_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels of a picture; None where observations are none."""
        return picture_shape(self.observation_shape, self.picture) if self.picture else None

    @property
    def scales_pixels(self) -> bool:
        """Whether the network sees pixels from 0 to 1."""
        return bool(self.picture) and self.observation_dtype == "uint8"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready copy."""
        return dataclasses.asdict(self) | {"observation_shape": list(self.observation_shape)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Spaces:
        """Read `to_dict` back, that of an earlier version too, which knew one layout only.

        Raises UserError if it is not what `to_dict` gives.
        """
        try:
            kinds_by_name = {field.name: str(field.type) for field in dataclasses.fields(cls)}
            cast = {name: kinds.cast(value, kinds_by_name[name]) for name, value in values.items()}
            np.dtype(cast["observation_dtype"])
            shape = cast["observation_shape"]
            is_large = len(shape) == 3 and min(shape[:2]) >= LARGE
            return cls(**{"picture": "HWC" if is_large else ""} | cast)
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(
                f"These are no spaces of an environment, as dqn_tf writes them: {values!r:.200}."
            ) from error


def describe(
    observation_space: gym.Space,
    action_space: gym.Space,
    tokens: Tokens | None = None,
    layout: tuple[int, int] = (0, 0),
    messages: int = 0,
) -> Spaces:
    """Describe the spaces of one environment, which may say something of its tokens.

    `layout` are the places for choices told as texts, and the tokens of each; `messages` the
    places for messages.

    Raises UserError for those that DQN or its network cannot use.
    """
    if not isinstance(action_space, gym.spaces.Discrete):
        raise UserError(
            "DQN needs a Discrete action space, and this environment has"
            f" {describe_value(action_space)}: it chooses among numbered actions. Discretise the"
            " actions in a wrapper, or use an algorithm for continuous control."
        )
    proper, is_masked = without_mask(observation_space)
    if is_masked:
        spaces = describe(proper, action_space, tokens, layout, messages)
        return dataclasses.replace(spaces, masked=True)
    actions: dict[str, Any] = {
        "actions": int(action_space.n),
        "action_start": int(action_space.start),
    }
    if isinstance(observation_space, gym.spaces.Discrete):
        return Spaces(
            (),
            "int64",
            **actions,
            categories=int(observation_space.n),
            category_start=int(observation_space.start),
        )
    vocabulary = vocabulary_of(observation_space, tokens)
    if vocabulary is not None:
        return Spaces(
            observation_space.shape or (),
            np.dtype(observation_space.dtype).name,
            **actions,
            categories=vocabulary.size,
            category_start=vocabulary.start,
            padding=vocabulary.padding,
            choices=layout[0],
            choice_tokens=layout[1],
            messages=messages,
        )
    if isinstance(observation_space, gym.spaces.Box):
        return _describe_box(observation_space, actions)
    raise UserError(
        f"The observation space is {describe_value(observation_space)}: dqn_tf takes Box, Discrete,"
        " MultiDiscrete and MultiBinary observations, and a Dict or Tuple of them. Put a wrapper"
        " around it that chooses what the agent sees, such as"
        " --env_wrappers=dqn_tf.envs.minigrid_cells:Cells for MiniGrid. A Text is made tokens by"
        " --env_wrappers=dqn_tf.envs.text.wrappers:Characters."
    )


def without_mask(space: gym.Space) -> tuple[gym.Space, bool]:
    """Return the space of the observation proper, and whether a mask lies beside it in a Dict."""
    if isinstance(space, gym.spaces.Dict) and set(space) == MASKED_KEYS:
        return space["observation"], True
    return space, False


def known_spaces(make_env: Callable[[], gym.Env]) -> Spaces | None:
    """Return the spaces that a maker of environments knows, None for any other function."""
    spaces = getattr(make_env, "spaces", None)
    return spaces if isinstance(spaces, Spaces) else None


def _describe_box(space: gym.spaces.Box, actions: dict[str, Any]) -> Spaces:
    if 0 in space.shape:
        raise UserError(
            f"Observations of shape {list(space.shape)} are empty: there is nothing to learn from."
            " Give the observation space at least one number."
        )
    # a type's name, in whichever order its bytes lie
    is_floating = np.issubdtype(space.dtype, np.floating)
    dtype = "float32" if is_floating else np.dtype(space.dtype).name
    has_pixels = dtype == "uint8" and bool((space.high == np.iinfo(np.uint8).max).all())
    return Spaces(space.shape, dtype, **actions, picture=picture_layout(space.shape, has_pixels))
