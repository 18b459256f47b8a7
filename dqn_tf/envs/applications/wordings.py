"""Sets of sentences for the applications: those that come with dqn_tf, and those of a file.

A file is a JSON object. Its entries are lists of texts, or lists of such lists, as an environment's
`Entry` says. Sentences that mean the same stand in one list, which is divided among the splits by
their places: of each four in a row the first two are for training, the third for validation and
the fourth for the test. Entries of the same names in an object `training` are for training alone.
No sentence occurs twice in a file, so no split has one of another's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from dqn_tf.support import json_files
from dqn_tf.support.errors import UserError, describe_value

DATA = Path(__file__).parent / "data"
LANGUAGES = ("en", "zh")
SPLITS = {"train": (0, 1), "validation": (2,), "test": (3,)}  # places, modulo PERIOD
PERIOD = 4  # and so the least sentences of a list that is divided
TRAINING = "training"  # the object of further sentences


class Entry(NamedTuple):
    """What an entry of a file must be.

    Attributes:
      has_lists: whether it is a list of lists, and not a list of texts.
      is_divided: whether its texts, or those of each list, are divided among the splits.
      is_optional: whether the file may leave it out.
    """

    has_lists: bool = False
    is_divided: bool = True
    is_optional: bool = False


Entries = dict[str, Entry]
Sentences = dict[str, Any]  # by the name of the entry: list[str] or list[list[str]]


def require_choice(env_id: str, name: str, value: Any, choices: Any) -> None:
    """Raise UserError if an argument of an environment is none of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise UserError(
            f"{env_id}: {name}={describe_value(value)} is none of {', '.join(choices)}."
        )


def chosen(
    env_id: str,
    read_set: Callable[[str | None, str], Sentences],
    language: str,
    split: str,
    wordings: str | None,
    vocabulary: str | None,
) -> tuple[Sentences, Sentences]:
    """Return the sentences that an environment says, and those whose words are its tokens.

    `read_set` reads a file, or without one what comes with dqn_tf in a language. `vocabulary` is a
    file, or a language for what comes with dqn_tf; without it, the tokens are the words of
    `wordings`. Raises UserError for arguments that are wrong.
    """
    require_choice(env_id, "language", language, LANGUAGES)
    require_choice(env_id, "split", split, SPLITS)
    sentences = read_set(wordings, language)
    if vocabulary is None:
        return sentences, _of_all_splits(sentences)
    if vocabulary in LANGUAGES:
        return sentences, _of_all_splits(read_set(None, vocabulary))
    try:
        return sentences, _of_all_splits(read_set(vocabulary, language))
    except UserError as error:  # it is read as wordings are
        raise UserError(f"vocabulary={str(error).removeprefix('wordings=')}") from error


def require_english(env_id: str, wordings: str, language: str) -> None:
    """Raise UserError unless the language is that of a package's texts, which are English."""
    if language != "en":
        raise UserError(
            f'{env_id}: wordings={wordings} are English texts, and language="{language}": leave'
            " out one of the two."
        )


def read(task: str, wordings: str | None, language: str, entries: Entries) -> Sentences:
    """Return the sentences of a file; without one, those that come with dqn_tf.

    Raises UserError for a file that cannot be read, or that is not as `entries` says.
    """
    if wordings is None:
        return read_file(DATA / f"{task}_{language}.json", entries)
    if not isinstance(wordings, str):
        raise UserError(f"wordings={describe_value(wordings)}: must be the path of a JSON file.")
    path = Path(os.path.expanduser(wordings))
    if not path.is_file():
        raise UserError(
            f"wordings={wordings}: there is no such file; without this argument, the sentences that"
            " come with dqn_tf are taken."
        )
    return read_file(path, entries)


def read_file(path: Path, entries: Entries) -> Sentences:
    """Read a file of sentences. Raises UserError."""
    try:
        values = json_files.read_object(path)
    except OSError as error:
        raise UserError(f"wordings={path} cannot be read: {error.strerror}.") from error
    except UserError as error:
        raise UserError(f"wordings={error}") from error
    unknown = sorted(set(values) - set(entries) - {TRAINING})
    if unknown:
        refuse(path, f"{unknown[0]!r} is no entry of it, which are {', '.join(entries)}")
    for name, entry in entries.items():
        if name in values:
            _require_entry(path, name, values[name], entry)
        elif not entry.is_optional:
            refuse(path, f"the entry {name!r} is missing")
    _require_training(path, values, entries)
    _require_no_twins(path, values)
    return values


def of_split(sentences: Sentences, entries: Entries, split: str) -> Sentences:
    """Return the sentences of one split; what is not divided is whole in each."""
    kept: Sentences = {}
    for name, values in _entries_of(sentences).items():
        entry = entries[name]
        if not entry.is_divided:
            kept[name] = values
        elif entry.has_lists:
            kept[name] = [_share(texts, split) for texts in values]
        else:
            kept[name] = _share(values, split)
    return _with_training(kept, sentences) if split == "train" else kept


def _entries_of(sentences: Sentences) -> Sentences:
    """Return the sentences without those for training alone."""
    return {name: values for name, values in sentences.items() if name != TRAINING}


def _of_all_splits(sentences: Sentences) -> Sentences:
    """Return all sentences by their entries, those for training alone among them."""
    return _with_training(_entries_of(sentences), sentences)


def _with_training(kept: Sentences, sentences: Sentences) -> Sentences:
    """Return entries with the further sentences for training behind their own."""
    joined = dict(kept)
    for name, more in sentences.get(TRAINING, {}).items():
        if isinstance(more[0], str):
            joined[name] = kept[name] + more
        else:
            joined[name] = [own + texts for own, texts in zip(kept[name], more, strict=True)]
    return joined


def all_texts(values: Any) -> Iterator[str]:
    """Yield each text in lists within lists, or within a dict of them."""
    if isinstance(values, str):
        yield values
        return
    for value in values.values() if isinstance(values, dict) else values:
        yield from all_texts(value)


def refuse(path: Path | str, reason: str) -> NoReturn:
    """Raise the UserError that says what is wrong with a file of sentences."""
    raise UserError(f"wordings={path}: {reason}.")


def require_count(path: Path | str, sentences: Sentences, name: str, count: int) -> None:
    """Raise UserError if an entry has not so many texts or lists."""
    if len(sentences[name]) != count:
        refuse(path, f"{name} has {len(sentences[name])} entries, and must have {count}")


def _share(texts: list[str], split: str) -> list[str]:
    return [text for place, text in enumerate(texts) if place % PERIOD in SPLITS[split]]


def _require_entry(path: Path, name: str, values: Any, entry: Entry) -> None:
    if not entry.has_lists:
        _require_texts(path, name, values, entry)
        return
    if not isinstance(values, list) or not values:
        refuse(path, f"{name} is {describe_value(values)}, and must be a list of lists of texts")
    for place, texts in enumerate(values):
        _require_texts(path, f"{name}[{place}]", texts, entry)


def _require_texts(path: Path, name: str, texts: Any, entry: Entry) -> None:
    if not isinstance(texts, list) or not texts:
        refuse(path, f"{name} is {describe_value(texts)}, and must be a list of texts")
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            refuse(path, f"{name} has {describe_value(text)}, which is no text")
    if entry.is_divided and len(texts) < PERIOD:
        refuse(
            path,
            f"{name} has {len(texts)} texts, and must have at least {PERIOD}, which are divided"
            " into training, validation and test",
        )


def _require_training(path: Path, values: Sentences, entries: Entries) -> None:
    """Raise UserError unless the sentences for training alone are as those of their entries."""
    training = values.get(TRAINING, {})
    if not isinstance(training, dict):
        refuse(path, f"{TRAINING} is {describe_value(training)}, and must be an object of entries")
    for name, more in training.items():
        entry = entries.get(name, Entry(is_divided=False))
        if not entry.is_divided or name not in values:
            divided = [name for name, entry in entries.items() if entry.is_divided]
            refuse(path, f"{TRAINING} has {name!r}, and can have {', '.join(divided)}")
        _require_entry(path, f"{TRAINING}.{name}", more, entry._replace(is_divided=False))
        if entry.has_lists and len(more) != len(values[name]):
            refuse(path, f"{TRAINING}.{name} has {len(more)} lists, and {name} {len(values[name])}")


def _require_no_twins(path: Path, values: Sentences) -> None:
    seen: set[str] = set()
    for text in all_texts(values):
        said = " ".join(text.lower().split())  # tokens are in small letters
        if said in seen:
            refuse(path, f"{describe_value(text)} occurs twice")
        seen.add(said)
