"""Alerts when a market turns from calm to stress: `dqn_tf/NewsAlert-v0`.

    Lender names new chairman | Shares slump after profit warning | Bank warns of heavy losses

One text after the other is read. Before each the market turns to stress with chance 0.05, for good;
a fifth of all texts are negative in calm, three fifths in stress. An alert ends the stream: it pays
1 in stress and -1 in calm. Waiting costs 0.05 in stress. The 40th text is the last: whoever waits
then has ended the stream too, as what was read tells that nothing follows.

With `wordings="finvader"` the texts are made of the finance lexicon of that package.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.applications import finance_headlines, regime_beliefs
from dqn_tf.envs.applications import wordings as sentences_of
from dqn_tf.envs.applications.regime_beliefs import (
    FALSE_ALARM,
    HAZARD,
    LATE,
    NEGATIVE,
    RIGHT,
    TEXTS,
)
from dqn_tf.envs.applications.text_env import KNOWN, TextEnv, longest
from dqn_tf.envs.applications.wordings import Entry, Sentences
from dqn_tf.support.errors import UserError, describe_value

ENV_ID = "dqn_tf/NewsAlert-v0"
ENTRIES = {"negative": Entry(), "other": Entry()}
WAIT, ALERT = 0, 1
SIGN = "|"  # between texts


class NewsAlert(TextEnv):
    """Observes the last texts, Box [T] int32; an action waits or alerts, Discrete(2).

    The last `texts` of them are observed; all 40 unless given, so that an observation is the
    beginning of the next one. With a `noise` of 0.1, one text in ten means the opposite.
    `language`, `split`, `wordings` and `vocabulary` are those of `helpdesk.Helpdesk`; "finvader"
    in place of a file is the installed package of this name. `info["messages"]` are the texts
    observed, one message each.
    """

    def __init__(
        self,
        language: str = "en",
        split: str = "train",
        wordings: str | None = None,
        vocabulary: str | None = None,
        texts: int = TEXTS,
        noise: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        if type(texts) is not int or not 1 <= texts <= TEXTS:
            raise UserError(
                f"{ENV_ID}: texts={describe_value(texts)} must be a whole number from 1 to {TEXTS}."
            )
        is_number = isinstance(noise, (int, float)) and not isinstance(noise, bool)
        if not is_number or not 0.0 <= noise < 0.5:
            raise UserError(
                f"{ENV_ID}: noise={describe_value(noise)} must be at least 0 and below 0.5."
            )
        sentences, known = sentences_of.chosen(ENV_ID, read, language, split, wordings, vocabulary)
        said = [*sentences_of.all_texts(known), SIGN]
        length = texts * (longest(sentences_of.all_texts(known), language) + 1) - 1
        actions: gym.spaces.Discrete = gym.spaces.Discrete(2)
        super().__init__(said, language, length, actions, render_mode)
        self.sentences = sentences_of.of_split(sentences, ENTRIES, split)
        self.window = texts
        self._noise = float(noise)
        self._best = regime_beliefs.best_stopping(self._noise)
        self.is_stress = False
        self.belief = 0.0
        self._texts: list[str] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin in calm, and read the first text."""
        super().reset(seed=seed)
        self.is_stress = False
        self.belief = 0.0
        self._texts = []
        self._read_text()
        return self.observation(), self.info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Alert, or wait for the next text; the end after 40 of them. truncated is always False."""
        if action_of(self, action) == ALERT:
            reward = RIGHT if self.is_stress else FALSE_ALARM
            return self.observation(), reward, True, False, self.info()
        reward = LATE if self.is_stress else 0.0
        is_last = len(self._texts) == TEXTS
        if not is_last:
            self._read_text()
        return self.observation(), reward, is_last, False, self.info()

    @property
    def max_messages(self) -> int:
        """The most texts that are observed."""
        return self.window

    def get_action_meanings(self) -> list[str]:
        """Return the names of the actions."""
        return ["等待", "警报"] if self.language == "zh" else ["wait", "alert"]

    def best_action(self) -> int:
        """Return an action with the best mean return for all texts so far."""
        threshold = self._best.threshold[len(self._texts) - 1]
        return ALERT if self.belief >= threshold else WAIT

    def behaviour(self) -> np.ndarray:
        """Return the chances of one who does the best thing half of the time, or else waits.

        One wait in ten is an alert, or else streams would be short.
        """
        chances = np.array([0.9, 0.1]) * (1.0 - KNOWN)
        chances[self.best_action()] += KNOWN
        return chances

    def optimal_return(self) -> float:
        """Return the best mean return of one who knows what each text means."""
        return self._best.optimum

    def _read_text(self) -> None:
        self.is_stress |= bool(self.np_random.random() < HAZARD)
        is_negative = bool(self.np_random.random() < NEGATIVE[self.is_stress])
        is_negative ^= bool(self.np_random.random() < self._noise)
        belief, _ = regime_beliefs.updated(np.array(self.belief), is_negative, self._noise)
        self.belief = float(belief)
        self._texts.append(self.draw(self.sentences["negative" if is_negative else "other"]))
        read = self._texts[-self.window :]
        self.tell(f" {SIGN} ".join(read))
        self.messages = [{"role": "user", "content": text} for text in read]


def read(wordings: str | None, language: str) -> Sentences:
    """Return the sentences of a file, of a package, or of dqn_tf. Raises UserError."""
    if wordings == finance_headlines.PACKAGE:
        sentences_of.require_english(ENV_ID, wordings, language)
        return finance_headlines.headlines()
    return sentences_of.read("news_alert", wordings, language, ENTRIES)
