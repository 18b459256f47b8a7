"""What is shown while episodes are played: how far it is, and pictures for a film."""

import time
from collections.abc import Callable

from dqn_tf.envs.checked_env import CheckedEnv

QUIET_SECONDS = 10.0


class Watch:
    """Is told of every step and every finished episode; does nothing until it is overridden."""

    def after_step(self, env: CheckedEnv) -> None:
        """Handle a step, or a reset."""

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

    def after_step(self, env: CheckedEnv) -> None:
        """Say how far it is, if it is time."""
        self._steps += 1
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
