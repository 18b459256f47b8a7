"""Environments of noise, one for each kind of space and each fault, for tests of evaluate.py."""

import os
import signal
from typing import ClassVar

import gymnasium as gym
import numpy as np


class Noise(gym.Env):
    """Three steps of observations drawn from the reset's seed; pays 1 for the highest action."""

    metadata: ClassVar = {"render_modes": ["rgb_array", "human"], "render_fps": 10}

    def __init__(self, space=None, actions=2, start=0, fault="", render_mode=None):
        self.observation_space = space or gym.spaces.Box(-1, 1, (3,), np.float64)
        self.action_space = gym.spaces.Discrete(actions, start=start)
        self.fault = fault
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        self.observation_space.seed(seed)
        self.steps = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.steps += 1
        if self.fault == "raise":
            raise RuntimeError("the noise is too loud")
        if self.fault == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        highest = action == self.action_space.start + self.action_space.n - 1
        return self.observation_space.sample(), float(highest), self.steps == 3, False, {}

    def render(self):
        if self.fault == "grey":
            return np.zeros((7, 9), np.uint8)
        return np.full((7, 9, 3), 80 * self.steps, np.uint8)  # odd sizes: mp4 has none


ENVIRONMENTS = {
    "Noise-v0": {},
    "Noise-shape-v0": {"space": gym.spaces.Box(-1, 1, (5,), np.float32)},
    "Noise-image-v0": {"space": gym.spaces.Box(0, 255, (4, 4, 1), np.uint8)},
    "Noise-discrete-v0": {"space": gym.spaces.Discrete(6, start=2), "start": 4},
    "Noise-actions-v0": {"actions": 3},
    "Noise-start-v0": {"start": 1},
    "Noise-raise-v0": {"fault": "raise"},
    "Noise-interrupt-v0": {"fault": "interrupt"},
    "Noise-grey-v0": {"fault": "grey"},
}


def register() -> None:
    """Makes them known to Gymnasium."""
    for name, keywords in ENVIRONMENTS.items():
        gym.register(name, entry_point=Noise, kwargs=keywords)
