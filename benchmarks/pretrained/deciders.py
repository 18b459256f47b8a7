"""How to act in each application on beliefs about its sentences: its exact policy, on chances.

A decider is told everything that a player is told, `info` of each step; an environment is only
asked for its sentences and its exact values.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from benchmarks.pretrained.supervised import Beliefs, Labelled, Read
from dqn_tf.envs.applications import readers, regime_beliefs
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.applications.issue_beliefs import AMBIGUOUS, CLEAR, TURNS, VAGUE, Issues
from dqn_tf.envs.applications.news_alert import ALERT, WAIT, NewsAlert
from dqn_tf.envs.applications.readers import GENRES, LEVELS, TITLES
from dqn_tf.envs.applications.text_env import TextEnv
from dqn_tf.envs.applications.title_rec import TitleRec


class Decider(Protocol):
    """What acts on what is told.

    Attributes:
      weights: how many numbers were learned.
    """

    weights: int

    def act(self, info: dict[str, Any], step: int) -> int:
        """Return the action after so many steps of an episode."""


def learn(read: Read, known: TextEnv, unseen: TextEnv) -> Decider:
    """Learn what the sentences of `known` mean, and from `unseen`, of validation, how firmly."""
    if isinstance(known, Helpdesk):
        return HelpdeskDecider(read, known, unseen)
    if isinstance(known, NewsAlert):
        return NewsDecider(read, known, unseen)
    return TitleDecider(read, known, unseen)


class HelpdeskDecider:
    """The action of the best mean return over what may be the issues, weighed by their chances."""

    def __init__(self, read: Read, known: Any, unseen: Any) -> None:
        self._beliefs = known.beliefs
        issues, pairs = known.beliefs.issues, known.beliefs.pairs
        self._complaints: list[Issues] = [
            *(frozenset([issue]) for issue in range(issues)),
            *(frozenset([2 * pair, 2 * pair + 1]) for pair in range(pairs)),
            frozenset(range(issues)),
        ]
        self._prior = np.repeat([CLEAR / issues, AMBIGUOUS / pairs, VAGUE], [issues, pairs, 1])
        self._questions = known.sentences["questions"]
        self._complaint, self._reply = (
            Beliefs(read, told(known.sentences), told(unseen.sentences))
            for told in (
                lambda said: labelled([*said["clear"], *said["ambiguous"], said["vague"]]),
                lambda said: labelled([*said["reply"], said["neither"]]),
            )
        )
        self.weights = self._complaint.weights + self._reply.weights

    def act(self, info: dict[str, Any], step: int) -> int:
        """Return the action of the best mean return."""
        said = [message["content"] for message in info["messages"]]
        chances = self._prior * self._complaint.likelihood(said[0])
        weights = dict(zip(self._complaints, chances.tolist(), strict=True))
        for question, reply in zip(said[1::2], said[2::2], strict=True):
            weights = self._after(
                weights, self._questions.index(question), self._reply.likelihood(reply)
            )
        returns = sum(
            weight * np.array(self._beliefs.q_values(possible, TURNS - step))
            for possible, weight in weights.items()
        )
        return int(np.argmax(returns))

    def _after(
        self, weights: dict[Issues, float], pair: int, reply: np.ndarray
    ) -> dict[Issues, float]:
        """Return the chances of what may be the issues after a reply, by Bayes' rule."""
        after: dict[Issues, float] = {}
        asked = {2 * pair, 2 * pair + 1}
        for possible, weight in weights.items():
            for chance, known in self._beliefs.after_question(possible, pair):
                meaning = min(known) if known <= asked else len(reply) - 1
                after[known] = after.get(known, 0.0) + weight * chance * reply[meaning]
        total = sum(after.values())
        return {known: weight / total for known, weight in after.items()}


class NewsDecider:
    """Alerts by the belief that all texts give, each as sure as the classifier is.

    The thresholds are those of a noise as large as its share of errors on validation wordings.
    """

    def __init__(self, read: Read, known: Any, unseen: Any) -> None:
        kinds = ("negative", "other")
        data = [labelled([env.sentences[kind] for kind in kinds]) for env in (known, unseen)]
        self._classify = Beliefs(read, *data)
        self.weights = self._classify.weights
        noise = min(self._classify.error, 0.45)
        self._threshold = regime_beliefs.best_stopping(noise).threshold

    def act(self, info: dict[str, Any], step: int) -> int:
        """Wait or alert."""
        belief = 0.0
        calm, stress = (np.array([chance, 1.0 - chance]) for chance in regime_beliefs.NEGATIVE)
        for message in info["messages"]:
            likelihood = self._classify.likelihood(message["content"])
            turned = belief + (1.0 - belief) * regime_beliefs.HAZARD
            in_stress = turned * (likelihood @ stress)
            belief = in_stress / (in_stress + (1.0 - turned) * (likelihood @ calm))
        return ALERT if belief >= self._threshold[step] else WAIT


class TitleDecider:
    """The title of the best mean return for the likeliest reader, over what its genre may be."""

    def __init__(self, read: Read, known: Any, unseen: Any) -> None:
        self._titles = Beliefs(
            read, *(labelled(env.sentences["titles"]) for env in (known, unseen))
        )
        self._kind, self._genre = (
            Beliefs(read, *(labelled(lists(env)) for env in (known, unseen)))
            for lists in (_by_kind, _by_genre)
        )
        self.weights = self._titles.weights + self._kind.weights + self._genre.weights
        self._q_values = functools.lru_cache(maxsize=None)(readers.q_values)

    def act(self, info: dict[str, Any], step: int) -> int:
        """Return the place of the title."""
        said = [message["content"] for message in info["messages"]]  # of levels first
        levels = [
            int(self._kind.likelihood(text)[: len(LEVELS)].argmax()) for text in said[:GENRES]
        ]
        stages = np.zeros(GENRES, int)
        for text in said[GENRES:]:
            genre = int(self._genre.likelihood(text).argmax())
            stages[genre] = 1 + int(self._kind.likelihood(text)[len(LEVELS) :].argmax())
        of_genre = self._q_values(tuple(levels))[
            min(step, TITLES - 1), readers.state_number(stages)
        ]
        of_titles = np.array([self._titles.likelihood(title) for title in info["choices"]])
        return int(np.argmax(of_titles @ of_genre / of_titles.sum(axis=1)))


def labelled(lists: Sequence[Sequence[str]]) -> Labelled:
    """Return the texts of lists, each with the number of its list."""
    labels = np.repeat(np.arange(len(lists)), [len(texts) for texts in lists])
    return Labelled([text for texts in lists for text in texts], labels)


def _by_kind(env: TitleRec) -> list[list[str]]:
    """Return what may be said of a reader, by level and then by mood."""
    entries = [*env.sentences["levels"], *env.sentences["moods"]]
    return [
        [env.of_genre(text, genre) for text in texts for genre in range(GENRES)]
        for texts in entries
    ]


def _by_genre(env: TitleRec) -> list[list[str]]:
    """Return what may be said of a reader, by the genre it is about."""
    entries = [*env.sentences["levels"], *env.sentences["moods"]]
    said = [text for texts in entries for text in texts]
    return [[env.of_genre(text, genre) for text in said] for genre in range(GENRES)]
