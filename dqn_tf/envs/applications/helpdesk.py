"""Answers a customer, or asks what is meant: `dqn_tf/Helpdesk-v0`.

    I cannot get on to your service today. > Is the line down or is your login refused? < It
    rejects what I type in.

Issues come in pairs, each equally likely. A complaint is clear, could be either issue of a pair, or
says nothing. The right answer pays 1 and a wrong one -1; both end the dialogue. Asking about a pair
costs 0.1, and the customer says which of the two it is, or that it is neither. Whoever asks in the
fourth turn has lost the customer: the dialogue ends.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.applications import wordings as sentences_of
from dqn_tf.envs.applications.issue_beliefs import (
    AMBIGUOUS,
    ASKING,
    CLEAR,
    RIGHT,
    TURNS,
    VAGUE,
    WRONG,
    IssueBeliefs,
    Issues,
)
from dqn_tf.envs.applications.text_env import TextEnv, longest
from dqn_tf.envs.applications.wordings import Entry, Sentences, refuse

ENV_ID = "dqn_tf/Helpdesk-v0"
ENTRIES = {
    "issues": Entry(is_divided=False),
    "answers": Entry(is_divided=False, is_optional=True),  # the issues, if it is not there
    "questions": Entry(is_divided=False),
    "clear": Entry(has_lists=True),
    "ambiguous": Entry(has_lists=True),
    "vague": Entry(),
    "reply": Entry(has_lists=True),
    "neither": Entry(),
}
ASKED, REPLIED = ">", "<"  # signs before a question and before the customer's reply
MOST_PAIRS = 20


class Helpdesk(TextEnv):
    """Observes the dialogue, Box [T] int32; an action is an answer or a question.

    `language` is "en" or "zh", `split` is "train", "validation" or "test", and `wordings` a file of
    other sentences. The tokens are those of the file in `vocabulary`, or of `wordings` itself
    without one; "en" and "zh" name the sentences that come with dqn_tf. T is what the longest
    dialogue of that file takes.
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
        self.beliefs = IssueBeliefs(len(sentences["questions"]))
        self._meanings = [*_answers(sentences), *sentences["questions"]]
        said = [*sentences_of.all_texts(known), ASKED, REPLIED]
        actions: gym.spaces.Discrete = gym.spaces.Discrete(len(self._meanings))
        super().__init__(said, language, _longest_dialogue(known, language), actions, render_mode)
        self._choice_tokens = longest([*_answers(known), *known["questions"]], language)
        self.sentences = sentences_of.of_split(sentences, ENTRIES, split)
        self.issue = 0
        self.possible: Issues = frozenset()
        self.turns = 0  # that are left

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw an issue, what kind of complaint it makes, and the complaint's words."""
        super().reset(seed=seed)
        self.issue = int(self.np_random.integers(self.beliefs.issues))
        kind = int(self.np_random.choice(3, p=[CLEAR, AMBIGUOUS, VAGUE]))
        pair = self.issue // 2
        texts, self.possible = (
            (self.sentences["clear"][self.issue], frozenset([self.issue])),
            (self.sentences["ambiguous"][pair], frozenset([2 * pair, 2 * pair + 1])),
            (self.sentences["vague"], frozenset(range(self.beliefs.issues))),
        )[kind]
        self.turns = TURNS
        self.tell(self.draw(texts))
        self.messages = [{"role": "user", "content": self.text}]
        return self.observation(), self.info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Answer, or ask about a pair; truncated is always False."""
        action = action_of(self, action)
        self.turns -= 1
        pair = action - self.beliefs.issues
        if pair < 0:
            reward = RIGHT if action == self.issue else WRONG
            return self.observation(), reward, True, False, self.info()
        if self.turns == 0:
            return self.observation(), ASKING, True, False, self.info()
        is_asked = self.issue // 2 == pair
        texts = self.sentences["reply"][self.issue] if is_asked else self.sentences["neither"]
        outcomes = [known for _, known in self.beliefs.after_question(self.possible, pair)]
        self.possible = next(known for known in outcomes if self.issue in known)
        question = self.sentences["questions"][pair]
        reply = self.draw(texts)
        self.tell(f"{self.text} {ASKED} {question} {REPLIED} {reply}")
        assert self.messages is not None
        self.messages += [
            {"role": "assistant", "content": question},
            {"role": "user", "content": reply},
        ]
        return self.observation(), ASKING, False, False, self.info()

    @property
    def max_messages(self) -> int:
        """The messages of the longest dialogue that goes on."""
        return 1 + 2 * (TURNS - 1)

    @property
    def choice_tokens(self) -> int:
        """The tokens of the longest answer or question of the file whose words are the tokens."""
        return self._choice_tokens

    def get_action_meanings(self) -> list[str]:
        """Return the answers and the questions."""
        return list(self._meanings)

    def best_action(self) -> int:
        """Return an action with the best mean return for what the dialogue tells."""
        return int(np.argmax(self.beliefs.q_values(self.possible, self.turns)))

    def optimal_return(self) -> float:
        """Return the best mean return of one who knows what each sentence can mean."""
        return self.beliefs.optimum()


def read(wordings: str | None, language: str) -> Sentences:
    """Return the sentences of a file, or those that come with dqn_tf. Raises UserError."""
    sentences = sentences_of.read("helpdesk", wordings, language, ENTRIES)
    pairs = len(sentences["questions"])
    if pairs > MOST_PAIRS:
        refuse(wordings or language, f"it has {pairs} questions, and may have {MOST_PAIRS}")
    counts = {"issues": 2, "answers": 2, "clear": 2, "ambiguous": 1, "reply": 2}
    for name, per_pair in counts.items():
        if name in sentences and len(sentences[name]) != per_pair * pairs:
            refuse(
                wordings or language,
                f"{name} has {len(sentences[name])} entries; as there are {pairs} questions, one"
                f" about each pair of issues, it must have {per_pair * pairs}",
            )
    return sentences


def _answers(sentences: Sentences) -> list[str]:
    answers: list[str] = sentences["answers" if "answers" in sentences else "issues"]
    return answers


def _longest_dialogue(sentences: Sentences, language: str) -> int:
    """Return the tokens of the longest dialogue; a reply's are behind its question and signs."""
    complaints = [sentences[name] for name in ("clear", "ambiguous", "vague")]
    replies = [sentences["reply"], sentences["neither"]]
    turn = 2 + longest(sentences["questions"], language)
    turn += longest(sentences_of.all_texts(replies), language)
    return longest(sentences_of.all_texts(complaints), language) + (TURNS - 1) * turn
