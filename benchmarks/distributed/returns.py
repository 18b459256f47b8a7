"""A clock for the return that training reaches, the same for both systems.

Standard library only, as RLlib's own environment has nothing else of this project.
"""

import time
from collections import deque
from collections.abc import Iterable

EPISODES = 100  # the newest ones, whose mean counts


class TargetClock:
    """Takes the time until the mean return of the newest EPISODES is at least `target`.

    Attributes:
      seconds, env_step: when that was; None as long as it is not, and where `target` is 0.
    """

    def __init__(self, target: float) -> None:
        self.seconds: float | None = None
        self.env_step: int | None = None
        self._target = target
        self._returns: deque[float] = deque(maxlen=EPISODES)
        self._start = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def add(self, returns: Iterable[float], env_step: int) -> None:
        """Take the episodes that have ended up to this environment step, with exploration."""
        if not self._target or self.seconds is not None:
            return
        self._returns.extend(returns)
        is_full = len(self._returns) == EPISODES
        if is_full and sum(self._returns) / EPISODES >= self._target:
            self.seconds = time.perf_counter() - self._start
            self.env_step = env_step
