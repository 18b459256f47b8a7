"""Headlines of NewsAlert made of the finance lexicons in the package finvader.

    Insurer: slump, litigation | The bank in two words: dividend and progress

SentiBigNomics gives words a score from -1 to 1, and Henry's (2008) list -1.5 or 1.5. Words of at
most -LEAST are negative, those of at least LEAST are not; what is between is left out. Words that
begin alike, as "weaken" and "weakening" do, are in the same split: no headline of the test has a
word, or hardly a stem, of those to learn from.
"""

from __future__ import annotations

import ast
import functools
import zlib
from pathlib import Path

from dqn_tf.envs.applications.package_data import in_places, mixed, package_file, split_of_groups
from dqn_tf.envs.applications.wordings import SPLITS, Sentences
from dqn_tf.support.errors import UserError

PACKAGE = "finvader"
LEXICONS = ("SentiBignomics.py", "Henry.py")  # a word of both has the score of the second
LEAST = 0.6
ALIKE = 5  # letters at the beginning of words that are in the same split
PATTERNS = (
    "{subject}: {one}, {two}",
    "The {subject} in two words: {one} and {two}",
    "{subject} report, {one} and {two}",
    "Analysts see {one}, {two} at the {subject}",
)
SUBJECTS = (
    *("bank", "insurer", "lender", "fund", "exporter", "retail chain", "chip maker", "airline"),
    *("steel plant", "property group", "broker", "oil producer", "car maker", "shipping line"),
    *("telecom group", "food producer"),
)


@functools.lru_cache(maxsize=1)
def headlines() -> Sentences:
    """Return negative and other headlines, each with two words of its kind. Raises UserError."""
    scores: dict[str, float] = {}
    for name in LEXICONS:
        scores |= lexicon(package_file(PACKAGE, name))
    strong = {word: score for word, score in scores.items() if abs(score) >= LEAST}
    split = split_of_groups(word[:ALIKE] for word in strong)
    sentences: Sentences = {}
    for kind, is_negative in (("negative", True), ("other", False)):
        words = mixed(word for word, score in strong.items() if (score < 0.0) == is_negative)
        of_splits = {
            name: _with_words([word for word in words if split[word[:ALIKE]] == name])
            for name in SPLITS
        }
        sentences[kind] = in_places(of_splits)
    return sentences


def lexicon(path: Path) -> dict[str, float]:
    """Return the scores of words in a module of assignments `table["word"] = score`, by parsing.

    Importing the package would download another lexicon. Raises UserError for a file without any.
    """
    scores = {}
    try:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Subscript):
                continue
            word, score = (ast.literal_eval(part) for part in (node.targets[0].slice, node.value))
            if isinstance(word, str) and word.isalpha():
                scores[word.lower()] = float(score)
    except (SyntaxError, TypeError, ValueError) as error:
        raise UserError(f"wordings={PACKAGE}: {path} is no lexicon: {error}.") from error
    if not scores:
        raise UserError(f"wordings={PACKAGE}: {path} has no word with a score.")
    return scores


def _with_words(words: list[str]) -> list[str]:
    """Return a headline for each word, with the next word as its second."""
    texts = []
    for one, two in zip(words, words[1:] + words[:1], strict=True):
        number = zlib.crc32(f"{one} {two}".encode())
        pattern = PATTERNS[number % len(PATTERNS)]
        subject = SUBJECTS[number // len(PATTERNS) % len(SUBJECTS)]
        text = pattern.format(subject=subject, one=one, two=two)
        texts.append(text[0].upper() + text[1:])
    return texts
