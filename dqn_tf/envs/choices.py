"""Choices as texts: `--choices=texts` puts the texts of the choices into the observation.

    state                        choice 0         choice 1         ...   choice C - 1
    [T] tokens, then padding     [L], [L], ...    padding only where there are fewer than C choices

So replay, checkpoints, logged data and exports hold the choices of every step as they hold the
observation, and an action is a place in the list.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.envs import returned
from dqn_tf.envs.text.logged_play import PlaysLoggedData
from dqn_tf.envs.tokens import Vocabulary, attribute_of, tokens_of, vocabulary_of
from dqn_tf.support.errors import UserError, describe_value

FLAG = "--choices=texts"
REMEMBERED = 4_096  # texts whose tokens are kept


class ChoiceLayout(NamedTuple):
    """Room for so many choices behind the state, with so many tokens each."""

    choices: int
    tokens: int


class ChoiceTexts(PlaysLoggedData):
    """Observes the state's tokens and those of `info["choices"]`; int, [T + C · L].

    C is `most`, or what the environment's attribute `max_choices` says, or the number of its
    actions. L is `tokens`, or what `choice_tokens` says. A longer text is cut; more choices than C
    are an error. `info["action_mask"]` [C] tells where there is a choice, and which of them are
    legal where the environment says so itself. The environment needs a method `encode`, from a text
    to the numbers of its tokens.

    Attributes:
      choice_layout: C and L.
      choice_texts: the texts of the choices now.
    """

    flag = FLAG

    def __init__(self, env: gym.Env, most: int = 0, tokens: int = 0) -> None:
        super().__init__(env)
        space = env.observation_space
        self._has_mask_within = isinstance(space, gym.spaces.Dict) and "observation" in space.spaces
        if isinstance(space, gym.spaces.Dict) and self._has_mask_within:
            space = space["observation"]
        vocabulary = _vocabulary(env, space)
        self._padding = vocabulary.padding
        self._encode = functools.lru_cache(maxsize=REMEMBERED)(self._encoded)
        self._encode_text = attribute_of(env, "encode")
        if not callable(self._encode_text):
            raise UserError(
                f"{FLAG} asks the environment for the tokens of a text: give it, or a wrapper, a"
                " method `encode` from a text to the numbers of its tokens."
            )
        self.choice_layout = ChoiceLayout(
            most or _said(env, "max_choices") or _actions(env), tokens or _said_tokens(env)
        )
        self.choice_texts: list[str] = []
        choices, length = self.choice_layout
        self.action_space = gym.spaces.Discrete(choices, start=_start(env))
        state_shape: Any = space.shape
        shape = (state_shape[0] + choices * length,)
        if isinstance(space, gym.spaces.MultiDiscrete):
            number_type: Any = space.dtype
            sizes, starts = (np.full(shape, n) for n in (vocabulary.size, vocabulary.start))
            self.observation_space = gym.spaces.MultiDiscrete(
                sizes, dtype=number_type, start=starts
            )
        else:
            last = vocabulary.start + vocabulary.size - 1
            dtype: Any = space.dtype
            self.observation_space = gym.spaces.Box(vocabulary.start, last, shape, dtype)

    def reset(self, **arguments: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Reset the environment. Raises UserError if its choices are no texts or too many."""
        observation, info = self.env.reset(**arguments)
        return self._with_choices(observation, info)

    def step(self, action: int) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        """Take the choice of this number. Raises UserError if there is none."""
        place = int(action) - _start(self.env)
        if not 0 <= place < len(self.choice_texts):
            raise UserError(
                f"{FLAG}: action {action} was taken, and only {len(self.choice_texts)} choices were"
                " there. `action_mask` tells which."
            )
        observation, reward, terminated, truncated, info = self.env.step(action)
        observation, info = self._with_choices(observation, info)
        return observation, reward, terminated, truncated, info

    @property
    def actions(self) -> range:
        """The environment's own numbers of the actions."""
        start = _start(self.env)
        return range(start, start + _actions(self.env))

    def _with_choices(self, observation: Any, info: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the observation with its choices behind it, and their mask in `info`."""
        own_mask = info.get("action_mask") if isinstance(info, dict) else None
        if self._has_mask_within:
            observation, own_mask = returned.parts_of(observation)
        self.choice_texts = texts = self._texts(info)
        choices, length = self.choice_layout
        tokens = np.full((choices, length), self._padding, self.observation_space.dtype)
        for place, text in enumerate(texts):
            numbers = self._encode(text)
            tokens[place, : len(numbers)] = numbers
        mask = (tokens != self._padding).any(axis=1)  # an empty text is no choice
        if own_mask is not None:
            mask[: len(texts)] &= returned.mask_of(own_mask, _actions(self.env))[: len(texts)]
        state = np.asarray(observation)
        return np.concatenate([state, tokens.reshape(-1)]), info | {"action_mask": mask}

    def _texts(self, info: Any) -> list[str]:
        """Return the texts of the choices in `info`. Raises UserError if they cannot be used."""
        texts = info.get("choices") if isinstance(info, dict) else None
        are_texts = isinstance(texts, (list, tuple)) and all(isinstance(t, str) for t in texts)
        if not are_texts or texts is None:
            raise UserError(
                f'{FLAG}: the environment must give info["choices"] at each reset and step, a list'
                f" with the text of each action, and gave {describe_value(texts)}."
            )
        if len(texts) > self.choice_layout.choices:
            raise UserError(
                f"{FLAG}: the environment offers {len(texts)} choices, and there is room for"
                f" {self.choice_layout.choices}: give --max_choices={len(texts)}, or more where"
                " others may come later."
            )
        if len(texts) > _actions(self.env):
            raise UserError(
                f"{FLAG}: the environment offers {len(texts)} choices and has only"
                f" {_actions(self.env)} actions."
            )
        return list(texts)

    def _encoded(self, text: str) -> tuple[int, ...]:
        """Return the first tokens of a text, as many as there is room for."""
        return tuple(int(number) for number in self._encode_text(text))[: self.choice_layout.tokens]


def _vocabulary(env: gym.Env, space: gym.Space) -> Vocabulary:
    """Return the vocabulary of an environment of tokens with a padding. Raises UserError."""
    vocabulary = vocabulary_of(space, tokens_of(env))
    if vocabulary is None:
        raise UserError(
            f"{FLAG} is for environments whose observations are tokens, and here the observation"
            f" space is {describe_value(space)}, without names of tokens."
        )
    if vocabulary.padding is None:
        raise UserError(
            f"{FLAG} fills the places without a choice with padding: give the environment the"
            " attribute `padding`, the number of a token that means nothing."
        )
    return vocabulary


def _said(env: gym.Env, name: str) -> int:
    """Return a number of an environment's attribute, 0 if it has none. Raises UserError."""
    value = attribute_of(env, name)
    if value is None:
        return 0
    is_number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_number or value < 1:
        raise UserError(
            f"The environment's attribute `{name}` is {describe_value(value)}, and must be a whole"
            " number above 0."
        )
    return int(value)


def _said_tokens(env: gym.Env) -> int:
    """Return how many tokens a choice has, by the environment. Raises UserError if it is silent."""
    tokens = _said(env, "choice_tokens")
    if not tokens:
        raise UserError(
            f"{FLAG}: how many tokens a choice may have, the environment does not say (its"
            " attribute `choice_tokens`): give --choice_tokens=12."
        )
    return tokens


def _discrete(env: gym.Env) -> gym.spaces.Discrete:
    """Return the action space. Raises UserError if actions are not numbered."""
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise UserError(
            f"{FLAG}: a choice is an action by its place, and the action space is"
            f" {describe_value(env.action_space)}: it must be Discrete."
        )
    return env.action_space


def _actions(env: gym.Env) -> int:
    return int(_discrete(env).n)


def _start(env: gym.Env) -> int:
    return int(_discrete(env).start)
