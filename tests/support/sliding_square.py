"""A small game of stacked pictures, fast enough for engines in tests."""

import gymnasium as gym
import numpy as np

from dqn_tf.envs.spaces import Spaces

SIZE, STACK = 36, 4
SPACES = Spaces((SIZE, SIZE, STACK), "uint8", actions=2, stack=STACK)


class SlidingSquare(gym.Env):
    """A square moves left or right; touching the left edge ends the episode, and twelve steps
    truncate it. Black before an episode's beginning.
    """

    observation_space = gym.spaces.Box(0, 255, (SIZE, SIZE, STACK), np.uint8)
    action_space = gym.spaces.Discrete(2)
    stack = STACK

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.shade, self.number = (
            int(self.np_random.integers(2, 6)),
            int(self.np_random.integers(100, 200)),
            0,
        )
        self.frames = [np.zeros((SIZE, SIZE), np.uint8)] * (STACK - 1) + [self.picture()]
        return np.stack(self.frames, axis=-1), {}

    def step(self, action):
        self.place, self.number = self.place + (1 if action else -1), self.number + 1
        self.frames = [*self.frames[1:], self.picture()]
        return (
            np.stack(self.frames, axis=-1),
            float(self.place),
            self.place == 0,
            self.number == 12,
            {},
        )

    def picture(self) -> np.ndarray:
        picture = np.full((SIZE, SIZE), self.number, np.uint8)
        picture[:4, 2 * self.place : 2 * self.place + 4] = self.shade
        return picture
