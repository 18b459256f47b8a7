"""The tokens of a set of texts."""

from __future__ import annotations

from collections.abc import Iterable

from dqn_tf.envs import tokenizer
from dqn_tf.envs.text.token_env import PADDING_NAME

UNKNOWN = 1  # the number of the token of all words that the vocabulary does not have
CHARACTER_LANGUAGES = ("zh",)


def kind_of(language: str) -> str:
    """Return which parts of a text are tokens: words and signs; of Chinese, the characters."""
    return tokenizer.CHARACTERS if language in CHARACTER_LANGUAGES else tokenizer.WORDS


def split_text(text: str, language: str) -> list[str]:
    """Return the parts of a text that are a token each, in small letters."""
    return tokenizer.split(text, kind_of(language))


def token_names(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Return padding, the unknown word, and all parts of the texts in alphabetical order."""
    parts = {part for text in texts for part in split_text(text, language)}
    return (PADDING_NAME, tokenizer.UNKNOWN_NAME, *sorted(parts))
