"""What the applications share: texts that are told and chosen, and their tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.applications import wordings as sentences_of
from dqn_tf.envs.applications.vocabulary import (
    CHARACTER_LANGUAGES,
    UNKNOWN,
    kind_of,
    split_text,
    token_names,
)
from dqn_tf.envs.text import logged_play
from dqn_tf.envs.text.token_env import TokenEnv

KNOWN = 0.5  # how often the player of logged data does the best thing


class TextEnv(TokenEnv):
    """Observes the tokens of a text, Box [T] int32, with padding behind them.

    Words, of Chinese characters, are tokens in small letters; those that the vocabulary does not
    have are `<unk>`. A text of more than T tokens loses its first ones. `info["text"]` is the whole
    text, and `info["choices"]` are the texts of the actions.

    Attributes:
      text: what is told now.
      messages: the same, message by message, with who spoke: "user", or "assistant" for what the
        agent said. None where it is one message.
    """

    def __init__(
        self,
        vocabulary: Iterable[str],
        language: str,
        length: int,
        action_space: gym.spaces.Discrete,
        render_mode: str | None,
    ) -> None:
        super().__init__(token_names(vocabulary, language), length, action_space, render_mode)
        self.language = language
        self.tokenizer = kind_of(language)
        self.text = ""
        self.messages: list[dict[str, str]] | None = None

    @property
    def choice_tokens(self) -> int:
        """The most tokens that the text of a choice has."""
        return longest(self.get_action_meanings(), self.language)

    @property
    def choices(self) -> list[str]:
        """The texts of the actions now."""
        return self.get_action_meanings()

    def encode(self, text: str) -> list[int]:
        """Return the numbers of a text's tokens."""
        return [self.number.get(part, UNKNOWN) for part in split_text(text, self.language)]

    def tell(self, text: str) -> None:
        """Make a text the observation."""
        self.text = text
        self.written = self.encode(text)[-self._length :]

    def joined(self, sentences: Iterable[str]) -> str:
        """Return sentences as one text."""
        return ("" if self.language in CHARACTER_LANGUAGES else " ").join(sentences)

    def info(self) -> dict[str, Any]:
        """Return the text that is observed, and the texts of the choices."""
        info = {"text": self.text, "choices": self.choices}
        return info if self.messages is None else info | {"messages": list(self.messages)}

    @property
    def texts(self) -> list[str]:
        """All sentences of the split, and the actions' texts."""
        said = sentences_of.all_texts(getattr(self, "sentences", {}))
        return list(dict.fromkeys([*said, *self.get_action_meanings()]))

    @abstractmethod
    def best_action(self) -> int:
        """Return an action with the best mean return for what has been told."""

    def behaviour(self) -> np.ndarray:
        """Return the chances of one who does the best thing half of the time, or else anything."""
        chances = np.full(len(self.actions), (1.0 - KNOWN) / len(self.actions))
        chances[self.best_action()] += KNOWN
        return chances

    def corpus(self) -> dict[str, np.ndarray]:
        """Return 2,000 episodes of `behaviour` as logged data."""
        return logged_play.corpus(self, logged_play.CORPUS_EPISODES)

    def draw(self, texts: Sequence[str]) -> str:
        """Return one of the texts, each equally likely."""
        return texts[int(self.np_random.integers(len(texts)))]

    def render(self) -> str | None:
        """Return the text that is observed."""
        return None if self.render_mode is None else self.text + "\n"


def longest(texts: Iterable[str], language: str) -> int:
    """Return the number of tokens of the longest of the texts."""
    return max(len(split_text(text, language)) for text in texts)
