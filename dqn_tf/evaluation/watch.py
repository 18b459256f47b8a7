"""What is shown while episodes are played: how far it is, and pictures for a film."""

import time
from collections.abc import Callable, Sequence

import numpy as np

from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.tokens import to_text

QUIET_SECONDS = 10.0


class Watch:
    """Is told of every step and every finished episode; does nothing until it is overridden."""

    def after_step(
        self, env: CheckedEnv, observation: np.ndarray, action: int | None = None
    ) -> None:
        """Handle a step, or a reset (which has no action), and the observation that it led to."""

    def after_episode(self) -> None:
        """Handle the end of an episode."""


class ProgressWatch(Watch):
    """Says every ten seconds how far an evaluation is, as some take hours."""

    def __init__(self, episodes: int, say: Callable[[str], None], hint: str) -> None:
        """Take the number of episodes, how to say a sentence, and what would make it shorter."""
        self._total = episodes
        self._say = say
        self._hint = hint
        self._steps = 0
        self._episodes = 0
        self._start = time.monotonic()
        self._next = self._start + QUIET_SECONDS

    def after_step(
        self, env: CheckedEnv, observation: np.ndarray, action: int | None = None
    ) -> None:
        """Count the step, and say how far it is, if it is time."""
        self._steps += action is not None
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + QUIET_SECONDS
        speed = self._steps / (now - self._start)
        self._say(
            f"evaluation: {self._episodes:,} of {self._total:,} episodes, {self._steps:,} steps,"
            f" {speed:,.0f} steps/s{self._hint}"
        )
        self._hint = ""  # once is enough

    def after_episode(self) -> None:
        """Count the episode."""
        self._episodes += 1


class TextWatch(Watch):
    """Collects the text of episodes that are played one after the other.

    Where an observation goes on with the one before, it is the same line; else it begins a new one,
    and the line before ends with what was done: a token, or another action behind an arrow.
    """

    def __init__(self, names: Sequence[str], action_names: Sequence[str] = ()) -> None:
        """Take the names of the tokens, and of the actions where they have any."""
        self._names = names
        self._action_names = action_names
        self._lines: list[str] = []
        self._tokens: list[int] = []  # of the last line, without padding
        self.texts: list[str] = []  # of the episodes

    def after_step(
        self, env: CheckedEnv, observation: np.ndarray, action: int | None = None
    ) -> None:
        """Go on with the last line, or begin another one."""
        spaces = env.spaces
        tokens = [token for token in observation.tolist() if token != spaces.padding]
        line = to_text(observation, self._names, spaces.category_start, spaces.padding)
        goes_on = len(tokens) > len(self._tokens) and tokens[: len(self._tokens)] == self._tokens
        if self._lines and goes_on:
            self._lines.pop()
        elif self._lines and action is not None:
            self._lines[-1] += self._done(action, spaces)
        self._lines.append(line)
        self._tokens = tokens

    def _done(self, action: int, spaces: Spaces) -> str:
        """Return what an action wrote, or did, as the end of a line; "" if it has no name."""
        if not self._action_names:
            return ""
        name = self._action_names[action - spaces.action_start]
        place = action - spaces.category_start
        is_token = 0 <= place < len(self._names) and self._names[place] == name
        return f" {name}" if is_token else f" → {name}"

    def after_episode(self) -> None:
        """Take the lines as the text of one episode."""
        self.texts.append("\n".join(self._lines))
        self._lines = []


class ChoiceWatch(TextWatch):
    """Collects the text of episodes whose choices are texts: each step's, one below the other.

    An arrow stands before the one that was taken.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Take the names of the tokens."""
        super().__init__(names)
        self._choices: list[str] = []  # of the last step

    def after_step(
        self, env: CheckedEnv, observation: np.ndarray, action: int | None = None
    ) -> None:
        """Write down what was taken, and what is told now."""
        spaces = env.spaces
        if action is not None:
            taken = action - spaces.action_start
            self._lines += [
                f"  {'→' if place == taken else ' '} {text}"
                for place, text in enumerate(self._choices)
            ]
        state = observation[: spaces.text_tokens]
        self._lines.append(to_text(state, self._names, spaces.category_start, spaces.padding))
        self._choices = env.choice_texts
