"""Titles of TitleRec that are those of films: MovieLens' 100K, which the package recbole ships.

A film has one genre or several, of nineteen. It counts for one of GENRES if it has that one and
none of the other four, whatever else it is; films with two of the five, or with none, are left out.
Titles that begin with the same word, as those of a series do, are in the same split. MovieLens'
terms allow no redistribution: nothing of it is in dqn_tf.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from dqn_tf.envs.applications.package_data import in_places, mixed, package_file, split_of_groups
from dqn_tf.envs.applications.wordings import SPLITS
from dqn_tf.support.errors import UserError

PACKAGE = "recbole"
FILE = ("dataset_example", "ml-100k", "ml-100k.item")
COLUMNS = ("movie_title:token_seq", "class:token_seq")
GENRES = ("Horror", "Children's", "Documentary", "Romance", "Crime")
ARTICLE = re.compile(r"^(?P<rest>.*), (?P<article>The|A|An)$")


@functools.lru_cache(maxsize=1)
def titles() -> list[list[str]]:
    """Return the titles of each of GENRES. Raises UserError."""
    of_genre = [mixed(of_one) for of_one in films(package_file(PACKAGE, *FILE))]
    split = split_of_groups(_first_word(title) for titles in of_genre for title in titles)
    return [
        in_places(
            {name: [title for title in one if split[_first_word(title)] == name] for name in SPLITS}
        )
        for one in of_genre
    ]


def films(path: Path) -> list[list[str]]:
    """Return the titles of the films of each of GENRES, each title once. Raises UserError."""
    header, *rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    if any(name not in header for name in COLUMNS):
        raise UserError(
            f"wordings={PACKAGE}: {path} has the columns {', '.join(header)}, and must have"
            f" {' and '.join(COLUMNS)}."
        )
    places = [header.index(name) for name in COLUMNS]
    found: list[list[str]] = [[] for _ in GENRES]
    seen = set()
    for row in rows:
        title, classes = (row[place] for place in places)
        title = ARTICLE.sub(r"\g<article> \g<rest>", title)
        of_film = [place for place, genre in enumerate(GENRES) if genre in classes.split(" ")]
        if len(of_film) == 1 and title.lower() not in seen:
            seen.add(title.lower())
            found[of_film[0]].append(title)
    return found


def _first_word(title: str) -> str:
    """Return the first word of a title that is no article, in small letters."""
    words = re.findall(r"\w+", title.lower())
    return next((word for word in words if word not in ("the", "a", "an")), title.lower())
