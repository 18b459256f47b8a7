"""Texts as tokens: which parts of a text are one token each, and the tokens of a set of texts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dqn_tf.envs.text.token_env import PADDING_NAME
from dqn_tf.envs.text.wrappers import UNKNOWN_NAME

UNKNOWN = 1  # the number of the token of all words that the vocabulary does not have
CHARACTER_LANGUAGES = ("zh",)
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def split_text(text: str, language: str) -> list[str]:
    """Return the parts of a text that are a token each, in small letters.

    They are words and punctuation marks; of Chinese, the characters.
    """
    if language in CHARACTER_LANGUAGES:
        return [character for character in text.lower() if not character.isspace()]
    return WORD.findall(text.lower())


def token_names(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Return padding, the unknown word, and all parts of the texts in alphabetical order."""
    parts = {part for text in texts for part in split_text(text, language)}
    return (PADDING_NAME, UNKNOWN_NAME, *sorted(parts))
