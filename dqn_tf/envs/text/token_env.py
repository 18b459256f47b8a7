"""What the environments of tokens share: names, padding, observations, and text."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs import tokenizer
from dqn_tf.envs.tokens import to_text
from dqn_tf.support.errors import UserError

PADDING = 0  # the number of the token that fills an observation behind its end
PADDING_NAME = "<pad>"


class TokenEnv(gym.Env):
    """Observes the tokens so far, Box [T] int32, with padding behind them.

    An action is the number of the token that is written next, unless the environment says
    otherwise. `tokens` names every number; `render` in mode "ansi" gives the observation as text.

    Attributes:
      tokens: the names of the tokens by number; the first is the padding.
      padding: the number of the padding.
      tokenizer: how a text is cut into tokens, one of `tokenizer.KINDS`.
      actions: the environment's own numbers of the actions.
      written: the tokens of the observation, without the padding.
    """

    # Gymnasium declares it an attribute of instances, and reads the class's.
    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012
    padding = PADDING
    tokenizer = tokenizer.SPACED
    # where an episode of logged data is cut; None where the environment ends or cuts it
    behaviour_steps: int | None = None

    def __init__(
        self,
        tokens: tuple[str, ...],
        length: int,
        action_space: gym.spaces.Discrete,
        render_mode: str | None,
    ) -> None:
        if render_mode not in (None, "ansi"):
            raise UserError(f"An environment of tokens renders as ansi, not as {render_mode}.")
        self.tokens = tokens
        self.number = {name: number for number, name in enumerate(tokens)}
        self.observation_space = gym.spaces.Box(0, len(tokens) - 1, (length,), np.int32)
        self.action_space = action_space
        self._length = length
        first = int(action_space.start)
        self.actions = range(first, first + int(action_space.n))
        self.render_mode = render_mode
        self.written: list[int] = []

    def observation(self) -> np.ndarray:
        """Return the tokens so far, [T] int32."""
        tokens = np.full(self._length, PADDING, np.int32)
        tokens[: len(self.written)] = self.written
        return tokens

    @abstractmethod
    def behaviour(self) -> np.ndarray:
        """Return the chances of the actions [A] now, of the player who makes logged data."""

    def get_action_meanings(self) -> list[str]:
        """Return the names of the tokens that may be written."""
        return [self.tokens[action] for action in self.actions]

    def render(self) -> str | None:
        """Return the observation as text."""
        if self.render_mode is None:
            return None
        return to_text(self.observation(), self.tokens, 0, PADDING) + "\n"


def chosen_start(options: dict[str, Any] | None, starts: list[Any]) -> int | None:
    """Return the place in `starts` of `options["start"]`; None if it is not given.

    Raises UserError if there is no such start.
    """
    if not options or "start" not in options:
        return None
    start = options["start"]
    if start not in starts:
        raise UserError(f"reset(options={options}): {start!r} is none of the starts {starts}.")
    return starts.index(start)
