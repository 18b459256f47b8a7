"""Recommends titles to a reader who tires of a genre and may leave: `dqn_tf/TitleRec-v0`.

    You love crime. Some interest in space. You seldom read cooking. You like history. No interest
    in sport at all. Quite sick of crime now.

One of five titles, one of each genre, is shown; a click pays 1. Readers leave, most likely after
the titles on which they click most. Twenty titles are shown at most. Chances: see `readers`.

With `wordings="recbole"` the titles are those of films that this package ships.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.applications import film_titles, readers
from dqn_tf.envs.applications import wordings as sentences_of
from dqn_tf.envs.applications.readers import GENRES, LEVELS, MOODS, READERS, RECOVERY, TITLES
from dqn_tf.envs.applications.text_env import TextEnv, longest
from dqn_tf.envs.applications.wordings import Entry, Sentences, refuse

ENV_ID = "dqn_tf/TitleRec-v0"
ENTRIES = {
    "genres": Entry(is_divided=False),
    "titles": Entry(has_lists=True),
    "levels": Entry(has_lists=True),
    "moods": Entry(has_lists=True),
}
OF_FILMS = {name: entry for name, entry in ENTRIES.items() if name != "titles"}
GENRE = "{genre}"  # where a sentence names it
ORDERS = ("genre", "shuffled", "choices")
FILMS = "title_rec_films"  # what is said of readers of film titles, but for the titles


class TitleRec(TextEnv):
    """Observes what a reader likes and is tired of, Box [T] int32; an action is a title.

    `info["choices"]` are the titles, new ones at each step. With `order="genre"` action g is a
    title of genre g; with "shuffled" the genres come in any order, and the titles stand at the end
    of the text, so that they have to be read; with "choices" they come in any order and stand in
    `info["choices"]` alone, which `--choices=texts` reads. `reset(options={"reader": 7})` chooses
    the reader. `language`, `split`, `wordings` and `vocabulary` are those of `helpdesk.Helpdesk`;
    "recbole" in place of a file is the installed package of this name. `info["messages"]` are the
    sentences of the text, one message each, and titles in it are the assistant's.
    """

    def __init__(
        self,
        language: str = "en",
        split: str = "train",
        wordings: str | None = None,
        vocabulary: str | None = None,
        order: str = "genre",
        render_mode: str | None = None,
    ) -> None:
        sentences_of.require_choice(ENV_ID, "order", order, ORDERS)
        sentences, known = sentences_of.chosen(ENV_ID, read, language, split, wordings, vocabulary)
        said = [
            *sentences_of.all_texts([known["genres"], known["titles"]]),
            *map(_without_genre, sentences_of.all_texts([known["levels"], known["moods"]])),
            *map(_sign, range(GENRES)),
        ]
        self._is_shuffled = order != "genre"
        self._tells_titles = order == "shuffled"
        length = _longest(known, language, self._tells_titles)
        actions: gym.spaces.Discrete = gym.spaces.Discrete(GENRES)
        super().__init__(said, language, length, actions, render_mode)
        self._choice_tokens = longest(sentences_of.all_texts(known["titles"]), language)
        self.genres = sentences["genres"]
        self.sentences = sentences_of.of_split(sentences, ENTRIES, split)
        self.levels = READERS[0]
        self.stages = np.zeros(GENRES, np.int64)
        self.order = np.arange(GENRES)  # the genre of each choice
        self._titles: list[str] = []
        self._likes: list[str] = []
        self._shown = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw one of the sixty readers, who is tired of nothing."""
        super().reset(seed=seed)
        reader = (options or {}).get("reader")
        if reader is None:
            reader = int(self.np_random.integers(len(READERS)))
        sentences_of.require_choice(ENV_ID, "reader", str(reader), [*map(str, range(len(READERS)))])
        self.levels = READERS[int(reader)]
        self._likes = [
            self._said("levels", level, genre) for genre, level in enumerate(self.levels)
        ]
        self.stages = np.zeros(GENRES, np.int64)
        self._shown = 0
        self._offer()
        return self.observation(), self.info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Show a title; terminated when the reader leaves, truncated after 20 titles."""
        genre = int(self.order[action_of(self, action)])
        clicks = self.np_random.random() < readers.click_chances(self.levels, self.stages)[genre]
        leaves = self.np_random.random() < readers.leaving_chances(self.levels)[genre]
        recovers = self.np_random.random(GENRES) < RECOVERY
        recovers[genre] = False
        self.stages = np.maximum(self.stages - recovers, 0)
        self.stages[genre] = min(self.stages[genre] + 1, len(MOODS) - 1)
        self._shown += 1
        self._offer()
        truncated = not leaves and self._shown == TITLES
        return self.observation(), float(clicks), bool(leaves), truncated, self.info()

    @property
    def max_messages(self) -> int:
        """The most sentences: of a level and a mood for each genre, and the titles in the text."""
        return GENRES * (2 + self._tells_titles)

    @property
    def texts(self) -> list[str]:
        """All messages and titles of the split."""
        said = sentences_of.all_texts([self.sentences["levels"], self.sentences["moods"]])
        messages = [self.of_genre(text, genre) for text in said for genre in range(GENRES)]
        return [*messages, *sentences_of.all_texts(self.sentences["titles"])]

    @property
    def choice_tokens(self) -> int:
        """The tokens of the longest title of the file whose words are the tokens."""
        return self._choice_tokens

    @property
    def choices(self) -> list[str]:
        """The titles that may be shown now."""
        return list(self._titles)

    def get_action_meanings(self) -> list[str]:
        """Return the genres, or if they are shuffled, the numbers of the titles."""
        return [*map(_sign, range(GENRES))] if self._is_shuffled else list(self.genres)

    def best_action(self) -> int:
        """Return a title with the best mean return for this reader now."""
        title = min(self._shown, TITLES - 1)
        best = readers.values(self.levels).best[title, readers.state_number(self.stages)]
        return int(np.flatnonzero(self.order == best)[0])

    def optimal_return(self) -> float:
        """Return the best mean return over the readers of one who knows them."""
        return readers.mean_over_readers("optimum")

    def _offer(self) -> None:
        """Draw a title of each genre, and tell the reader's likes and moods."""
        if self._is_shuffled:
            self.order = self.np_random.permutation(GENRES)
        self._titles = [self.draw(self.sentences["titles"][genre]) for genre in self.order]
        told = list(self._likes)
        for genre, stage in enumerate(self.stages):
            if stage > 0:
                told.append(self._said("moods", int(stage) - 1, genre))
        self.messages = [{"role": "user", "content": text} for text in told]
        if self._tells_titles:
            told += [f"{_sign(place)} {title}" for place, title in enumerate(self._titles)]
            self.messages += [{"role": "assistant", "content": title} for title in self._titles]
        self.tell(self.joined(told))

    def _said(self, entry: str, place: int, genre: int) -> str:
        return self.of_genre(self.draw(self.sentences[entry][place]), genre)

    def of_genre(self, text: str, genre: int) -> str:
        """Return a sentence in which the genre stands, in capitals where it begins."""
        said = text.replace(GENRE, self.genres[genre])
        return said[0].upper() + said[1:] if text.startswith(GENRE) else said


def read(wordings: str | None, language: str) -> Sentences:
    """Return the sentences of a file, of a package, or of dqn_tf. Raises UserError."""
    if wordings == film_titles.PACKAGE:
        sentences_of.require_english(ENV_ID, wordings, language)
        said = sentences_of.read_file(sentences_of.DATA / f"{FILMS}_en.json", OF_FILMS)
        return said | {"titles": film_titles.titles()}
    sentences = sentences_of.read("title_rec", wordings, language, ENTRIES)
    counts = {"genres": GENRES, "titles": GENRES, "levels": len(LEVELS), "moods": len(MOODS) - 1}
    for name, count in counts.items():
        sentences_of.require_count(wordings or language, sentences, name, count)
    for text in sentences_of.all_texts([sentences["levels"], sentences["moods"]]):
        if text.count(GENRE) != 1:
            refuse(wordings or language, f"the sentence {text!r} must have {GENRE} once")
    return sentences


def _longest(sentences: Sentences, language: str, has_titles: bool) -> int:
    """Return the tokens of the longest text: each genre's level and mood, and the titles."""
    genre = longest(sentences["genres"], language)
    entries = ("levels", "moods")
    level, mood = (
        longest(map(_without_genre, sentences_of.all_texts(sentences[name])), language)
        for name in entries
    )
    titles = sentences_of.all_texts(sentences["titles"])
    title = 1 + longest(titles, language) if has_titles else 0
    return GENRES * (level + genre + mood + genre + title)


def _without_genre(text: str) -> str:
    return text.replace(GENRE, " ")


def _sign(place: int) -> str:
    """Return what stands before a title in the text."""
    return f"{place + 1}"
