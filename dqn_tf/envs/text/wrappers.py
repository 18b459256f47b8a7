"""Wrappers that make tokens of a text: `--env_wrappers=dqn_tf.envs.text.wrappers:Characters`."""

from __future__ import annotations

import re
from abc import abstractmethod

import gymnasium as gym
import numpy as np

from dqn_tf.envs.text.token_env import PADDING, PADDING_NAME
from dqn_tf.envs.tokenizer import UNKNOWN_NAME
from dqn_tf.support.errors import UserError, describe_value


class TextTokens(gym.ObservationWrapper):
    """Observes a text's tokens, Box [T] int32, with padding behind them.

    T is the most characters that the environment's Text space allows, or `length`, if it is set; a
    text with more tokens then loses its first ones.
    """

    length: int | None = None
    padding = PADDING

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        space = env.observation_space
        if not isinstance(space, gym.spaces.Text):
            raise UserError(
                f"{type(self).__name__} makes tokens of a Text, and the observation space is"
                f" {describe_value(space)}."
            )
        self.tokens = (PADDING_NAME, *self._names(space))
        self._number = {name: number for number, name in enumerate(self.tokens)}
        self._length = self.length or int(space.max_length)
        self.observation_space = gym.spaces.Box(0, len(self.tokens) - 1, (self._length,), np.int32)

    def observation(self, observation: str) -> np.ndarray:
        """Return the tokens of a text, [T] int32."""
        numbers = self.encode(observation)
        tokens = np.full(self._length, PADDING, np.int32)
        kept = numbers[-self._length :]
        tokens[: len(kept)] = kept
        return tokens

    def encode(self, text: str) -> list[int]:
        """Return the numbers of all tokens of a text."""
        return [self._number_of(part) for part in self.split(text)]

    @abstractmethod
    def split(self, text: str) -> list[str]:
        """Return the parts of a text that are a token each."""

    @abstractmethod
    def _names(self, space: gym.spaces.Text) -> list[str]:
        """Return the names of the tokens behind the padding."""

    def _number_of(self, part: str) -> int:
        number = self._number.get(part, self._number.get(UNKNOWN_NAME))
        if number is None:
            raise UserError(f"The environment says {part!r}, which its Text space does not have.")
        return number


class Characters(TextTokens):
    """A token for each character of the Text space."""

    def split(self, text: str) -> list[str]:
        """Return the characters."""
        return list(text)

    def _names(self, space: gym.spaces.Text) -> list[str]:
        return sorted(space.character_set)


class Words(TextTokens):
    """A token for each word and each punctuation mark of a vocabulary, one for all others.

    The vocabulary is `words`, of a subclass or of the environment.
    """

    words: tuple[str, ...] = ()

    def split(self, text: str) -> list[str]:
        """Return words and punctuation marks."""
        return re.findall(r"\w+|[^\w\s]", text)

    def _names(self, space: gym.spaces.Text) -> list[str]:
        words = self.words or getattr(self.env.unwrapped, "words", ())
        are_words = isinstance(words, (list, tuple)) and all(isinstance(w, str) for w in words)
        if not words or not are_words or len(set(words)) < len(words):
            raise UserError(
                f"{type(self).__name__} needs a vocabulary, a list of different words: give it, or"
                f" the environment, the attribute `words`, which is {describe_value(words)}."
            )
        return [UNKNOWN_NAME, *words]
