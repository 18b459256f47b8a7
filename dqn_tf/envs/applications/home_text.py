"""Does at home what is asked for, and not what is denied: `dqn_tf/HomeText-v0`.

    A pot steams on the stove. You are not hungry now but tired now.

The quest of LSTM-DQN (Narasimhan et al. 2015) in other words, with one more rule: what the quest
denies ends the episode, too. A bag of words, which cannot tell "not hungry but tired" from "not
tired but hungry", therefore meets at most half of all quests.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.applications import quests
from dqn_tf.envs.applications import wordings as sentences_of
from dqn_tf.envs.applications.quests import LIMIT, NEEDS, OBJECTS, QUESTS, VERBS
from dqn_tf.envs.applications.text_env import TextEnv, longest
from dqn_tf.envs.applications.wordings import Entry, Sentences, refuse
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.exact import Model

ENV_ID = "dqn_tf/HomeText-v0"
ENTRIES = {
    "verbs": Entry(is_divided=False),
    "objects": Entry(is_divided=False),
    "rooms": Entry(has_lists=True),
    "needs": Entry(has_lists=True),
    "quests": Entry(),
}
DENIED, ASKED = "{no}", "{yes}"  # where a quest names the needs


class HomeText(TextEnv):
    """Observes the room and the quest in words, Box [T] int32; an action is a verb and an object.

    Discrete(40): action 8 v + o is verb v with object o. `language`, `split`, `wordings` and
    `vocabulary` are those of `helpdesk.Helpdesk`.
    """

    def __init__(
        self,
        language: str = "en",
        split: str = "train",
        wordings: str | None = None,
        vocabulary: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        sentences, known = sentences_of.chosen(ENV_ID, read, language, split, wordings, vocabulary)
        length = longest(sentences_of.all_texts(known["rooms"]), language)
        longest_need = longest(sentences_of.all_texts(known["needs"]), language)
        length += longest(map(_without_needs, known["quests"]), language) + 2 * longest_need
        said = [known[name] for name in ("verbs", "objects", "rooms", "needs")]
        texts = [*sentences_of.all_texts(said), *map(_without_needs, known["quests"])]
        actions: gym.spaces.Discrete = gym.spaces.Discrete(VERBS * OBJECTS)
        super().__init__(texts, language, length, actions, render_mode)
        self._meanings = [
            self.joined([verb, thing])
            for verb in sentences["verbs"]
            for thing in sentences["objects"]
        ]
        self.sentences = sentences_of.of_split(sentences, ENTRIES, split)
        self._best = exact.best_policy(self.model()).argmax(axis=1)
        self.room = 0
        self.quest = QUESTS[0]  # (denied, asked for)
        self._quest_text = ""
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a room, a quest and its words."""
        super().reset(seed=seed)
        self.room = int(self.np_random.integers(NEEDS))
        self.quest = QUESTS[int(self.np_random.integers(len(QUESTS)))]
        denied, asked = (self.draw(self.sentences["needs"][need]) for need in self.quest)
        template = self.draw(self.sentences["quests"])
        self._quest_text = quest_text(template, denied, asked)
        self._steps = 0
        self._look()
        return self.observation(), self.info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do what a command says; truncated after 20 of them."""
        self.room, reward, terminated = quests.do(self.room, self.quest, action_of(self, action))
        self._steps += 1
        self._look()
        truncated = not terminated and self._steps == LIMIT
        return self.observation(), reward, terminated, truncated, self.info()

    def get_action_meanings(self) -> list[str]:
        """Return the commands."""
        return list(self._meanings)

    def best_action(self) -> int:
        """Return an action with the best mean return for what the text says."""
        step = min(self._steps, LIMIT - 1)
        state = (step * len(QUESTS) + QUESTS.index(self.quest)) * NEEDS + self.room
        return int(self._best[state])

    def model(self) -> Model:
        """Return the task as tables: see `quests.quest_model`."""
        return quests.quest_model()

    def optimal_return(self) -> float:
        """Return the best mean return over rooms and quests."""
        return exact.optimum(self.model())

    def bag_of_words_return(self) -> float:
        """Return the best mean return of one who reads a bag of words: see `quests.bag_model`."""
        return exact.optimum(quests.bag_model())

    def _look(self) -> None:
        room = self.draw(self.sentences["rooms"][self.room])
        self.tell(self.joined([room, self._quest_text]))


def quest_text(template: str, denied: str, asked: str) -> str:
    """Return what a quest says that denies one need and asks for another."""
    return template.replace(DENIED, denied).replace(ASKED, asked)


def read(wordings: str | None, language: str) -> Sentences:
    """Return the sentences of a file, or those that come with dqn_tf. Raises UserError."""
    sentences = sentences_of.read("home_text", wordings, language, ENTRIES)
    counts = {"verbs": VERBS, "objects": OBJECTS, "rooms": NEEDS, "needs": NEEDS}
    for name, count in counts.items():
        sentences_of.require_count(wordings or language, sentences, name, count)
    for quest in sentences["quests"]:
        if quest.count(DENIED) != 1 or quest.count(ASKED) != 1:
            refuse(wordings or language, f"the quest {quest!r} must have {DENIED} and {ASKED} once")
    return sentences


def _without_needs(quest: str) -> str:
    return quest.replace(DENIED, " ").replace(ASKED, " ")
