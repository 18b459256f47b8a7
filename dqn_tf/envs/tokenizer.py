"""Texts as tokens: which parts of a text are one token each, and their numbers.

An export does the same inside its graph, so all of it is what both can hold on every platform:
tables of characters and one regular expression, and nothing that depends on a version of Unicode,
on a language, or on the characters around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

UNKNOWN_NAME = "<unk>"
WORDS = "words"  # words and signs, in small letters
CHARACTERS = "characters"  # in small letters
SPACED = "spaced"  # what stands between spaces, as it is
KINDS = (WORDS, CHARACTERS, SPACED)
Text: TypeAlias = str | bytes

# First and last of each range: what Unicode 15 counts as white space.
SPACES = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
# Alphabets with small and capital letters: Latin, Greek, Cyrillic, Armenian; Latin and Greek with
# accents; full-width Latin. Unicode has added no letters to them since Python 3.10.
ALPHABETS = ((0x41, 0x24F), (0x370, 0x52F), (0x531, 0x556), (0x1E00, 0x1FFF), (0xFF21, 0xFF3A))
# What no word is made of: control characters and punctuation of ASCII and Latin-1; punctuation of
# Greek, Armenian, Hebrew, Arabic and of India; everything from general punctuation to arrows and
# signs of other kinds; CJK punctuation; characters for private use, compatibility and full-width
# forms of punctuation; emoji; tags.
SIGNS = (
    *((0x00, 0x2F), (0x3A, 0x40), (0x5B, 0x5E), (0x60, 0x60), (0x7B, 0xA9), (0xAB, 0xB4)),
    *((0xB6, 0xB9), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x37E, 0x37E), (0x387, 0x387)),
    *((0x55A, 0x55F), (0x589, 0x58A), (0x5BE, 0x5BE), (0x5F3, 0x5F4), (0x60C, 0x60D)),
    *((0x61B, 0x61B), (0x61F, 0x61F), (0x66A, 0x66D), (0x6D4, 0x6D4), (0x964, 0x965)),
    *((0x1680, 0x1680), (0x2000, 0x2BFF), (0x2E00, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030)),
    *((0xE000, 0xF8FF), (0xFE00, 0xFE19), (0xFE30, 0xFE6F), (0xFEFF, 0xFF0F), (0xFF1A, 0xFF20)),
    *((0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0xFFE0, 0xFFFF), (0x1F000, 0x1FFFF)),
    (0xE0000, 0x10FFFF),
)


def _characters(ranges: Sequence[tuple[int, int]]) -> str:
    """Return ranges as a class of a regular expression names them."""
    return "".join(f"{re.escape(chr(low))}-{re.escape(chr(high))}" for low, high in ranges)


def _small_letters() -> dict[int, int]:
    """Return what becomes of each capital letter, one character of one character.

    The dotted I becomes an i without the dot that Python would add, and the final sigma a sigma.
    """
    small = {0x130: ord("i"), ord("ς"): ord("σ")}
    for low, high in ALPHABETS:
        for code in range(low, high + 1):
            lower = chr(code).lower()
            if len(lower) == 1 and ord(lower) != code:
                small[code] = ord(lower)
    return small


WORD = f"[^{_characters(SIGNS)}]"
# Patterns of Python and of RE2 alike; all white space is a space by then.
PATTERNS = {
    WORDS: f"{WORD}+(?:['’]{WORD}+)*|[^ ]",
    CHARACTERS: "[^ ]",
    SPACED: "[^ ]+",
}
TO_SPACE = {code: ord(" ") for low, high in SPACES for code in range(low, high + 1) if code != 0x20}
TO_SMALL = _small_letters()
# Code points that are replaced, and by what, before a text is cut into parts.
FOLDS = {WORDS: TO_SPACE | TO_SMALL, CHARACTERS: TO_SPACE | TO_SMALL, SPACED: TO_SPACE}


def split(text: str, kind: str) -> list[str]:
    """Return the parts of a text that are a token each."""
    return re.findall(PATTERNS[kind], text.translate(FOLDS[kind]))


class Tokenizer:
    """Makes observations, [T] tokens with padding behind them, of texts.

    A text of more than T tokens loses its first ones. Where choices are told as texts, C of them
    stand behind it with L tokens each, and a longer one loses its last tokens.

    Attributes:
      kind: one of KINDS.
      names: the names of the tokens, from the number `start` on.
      length: T.
      choices: C; 0 where choices are no texts.
      choice_tokens: L.
      number: the numbers of the names, but for the padding's and `unknown`.
      unknown: the number of all parts that are no names; None where there is no such token.
    """

    def __init__(self, kind: str, names: Sequence[str], spaces: Spaces) -> None:
        self.kind = kind
        self.names = tuple(names)
        self.start = spaces.category_start
        self.length = spaces.text_tokens
        self.choices = spaces.choices
        self.choice_tokens = spaces.choice_tokens
        self.padding = spaces.padding or 0
        self.dtype = spaces.observation_dtype
        numbers = {name: number for number, name in enumerate(names, self.start)}
        self.unknown = numbers.pop(UNKNOWN_NAME, None)
        # the padding is not written, either
        self.number = {name: numbers[name] for name in numbers if numbers[name] != self.padding}

    def observation(self, text: Text, choices: Sequence[Text] = ()) -> np.ndarray:
        """Return a text's last tokens, [T], and behind them those of its choices, [T + C · L].

        Bytes that are no UTF-8 become U+FFFD; an empty choice is none. Raises UserError for a part
        without a token, and for more choices than there is room for.
        """
        if len(choices) > self.choices:
            raise UserError(
                f"{len(choices)} choices are more than the {self.choices} that there is room for."
            )
        tokens = np.full(self.length + self.choices * self.choice_tokens, self.padding, self.dtype)
        kept = self._numbers(text)[-self.length :]
        tokens[: len(kept)] = kept
        for place, choice in enumerate(choices):
            begin = self.length + place * self.choice_tokens
            kept = self._numbers(choice)[: self.choice_tokens]
            tokens[begin : begin + len(kept)] = kept
        return tokens

    def observations(
        self, texts: Sequence[Text], choices: Sequence[Sequence[Text]] | None = None
    ) -> np.ndarray:
        """Return the observations of texts [N], each with its own choices. Raises UserError."""
        beside = [()] * len(texts) if choices is None else choices
        shape = (len(texts), self.length + self.choices * self.choice_tokens)
        made = np.empty(shape, self.dtype)
        for row, (text, its_choices) in enumerate(zip(texts, beside, strict=True)):
            made[row] = self.observation(text, its_choices)
        return made

    def reads(self, text: Any, observation: np.ndarray, choices: Sequence[str] = ()) -> bool:
        """Return whether a text and choices have the tokens of an observation.

        It is True where there is no text.
        """
        try:
            read = self.observation(text, choices) if isinstance(text, str) else observation
        except UserError:
            return False
        return np.array_equal(read, observation)

    def text(self, observation: np.ndarray) -> str:
        """Return a text with the tokens of an observation; what is unknown is U+FFFD."""
        return self._written(observation[: self.length])

    def choice_texts(self, observation: np.ndarray) -> list[str]:
        """Return texts with the tokens of its choices, [C]; empty where there is none."""
        tokens = observation[self.length :].reshape(self.choices, self.choice_tokens)
        return [self._written(row) for row in tokens]

    def _written(self, tokens: np.ndarray) -> str:
        return " ".join(
            "\ufffd" if number == self.unknown else self.names[number - self.start]
            for number in tokens.tolist()
            if number != self.padding
        )

    def _numbers(self, text: Text) -> list[int]:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return [self._number_of(part) for part in split(text, self.kind)]

    def _number_of(self, part: str) -> int:
        number = self.number.get(part, self.unknown)
        if number is None:
            raise UserError(f"{part!r} is no token: the vocabulary does not have it.")
        return number


def of_names(names: Mapping[str, Any], spaces: Spaces) -> Tokenizer | None:
    """Return the tokenizer of an environment, by its `names` or a manifest's.

    None where it is not told, and where some token could not be written in a text.
    """
    kind, tokens = names.get("tokenizer"), names.get("tokens")
    is_text = bool(spaces.vocabulary) and spaces.padding is not None
    if kind not in KINDS or not isinstance(tokens, (list, tuple)) or not is_text:
        return None
    made = Tokenizer(kind, tokens, spaces)
    is_whole = len(tokens) == spaces.vocabulary
    return made if is_whole and all(split(name, kind) == [name] for name in made.number) else None


def of_manifest(manifest: Mapping[str, Any]) -> Tokenizer | None:
    """Return the tokenizer that an export says of itself; None where it says none."""
    spaces = manifest.get("spaces")
    if not isinstance(spaces, dict) or "tokenizer" not in manifest:
        return None
    return of_names(manifest, Spaces.from_dict(spaces))
