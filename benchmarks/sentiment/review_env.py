"""A review is read and called bad (0) or good (1), which pays 1 if it is right; then comes another.

Each review comes once, in an order that `order` seeds: an episode is one label's outcome.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.sentiment import reviews

NAME = "Reviews-v0"
ENV_ID = f"{__name__}:{NAME}"


class ReviewEnv(gym.Env):
    """Observes the characters of a review, Box [T] int32; one step is an episode."""

    padding = reviews.PADDING

    def __init__(self, order: int = 0) -> None:
        self._pool, _ = reviews.load()
        self._order = shuffled(order)
        self._next = -1
        self.tokens = tuple(map(str, range(reviews.VOCABULARY)))
        self.observation_space = gym.spaces.Box(
            0, reviews.VOCABULARY - 1, (reviews.LENGTH,), np.int32
        )
        self.action_space: gym.spaces.Discrete = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Take the next review."""
        super().reset(seed=seed)
        self._next = (self._next + 1) % len(self._order)
        return self._observation(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pay 1 for the right label, or nothing; the episode ends."""
        reward = float(int(action) == self._pool.labels[self._order[self._next]])
        return self._observation(), reward, True, False, {}

    def _observation(self) -> np.ndarray:
        observation: np.ndarray = self._pool.texts[self._order[self._next]]
        return observation


def shuffled(order: int) -> np.ndarray:
    """Return the places of the reviews to learn from, in an order of one's own [N]."""
    pool, _ = reviews.load()
    return np.random.default_rng(order).permutation(len(pool.labels))


gym.register(NAME, lambda **kwargs: ReviewEnv(**kwargs))
