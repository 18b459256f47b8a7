"""An environment for workers: `--env=remote_worlds:World-v0`, with what can go wrong as arguments.

Where the variable ODD_NODE is set, as on a node of a cluster that a test starts, the package that
`needs` names is imported.
"""

import importlib
import os
import time
from pathlib import Path

import gymnasium as gym
import numpy as np


class World(gym.Env):
    """Ten numbers that follow from the seed and the actions; an episode has some 12 steps.

    `once` is a file that the fault leaves behind: while it is there, nothing happens. `seconds` is
    how long each step sleeps. With `drifts` no two training episodes are alike.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (10,), np.float32)
    action_space = gym.spaces.Discrete(3)

    def __init__(self, masked=False, seconds=0.0, fault="", once="", needs="", drifts=False):
        self.drifts = drifts
        self.masked, self.seconds, self.fault, self.once = masked, seconds, fault, once
        if needs and os.environ.get("ODD_NODE"):
            importlib.import_module(needs)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed = seed
        self.length = int(self.np_random.integers(3, 20))
        self.steps = 0
        self.state = self.np_random.standard_normal(10).astype(np.float32)
        if self.drifts and self.is_training():
            self.state += np.float32(100 + int.from_bytes(os.urandom(2), "big"))
        return self.state, self.info()

    def info(self):
        if not self.masked:
            return {}
        return {"action_mask": np.array([True, self.state[0] > 0, self.state[1] > 0])}

    def step(self, action):
        self.steps += 1
        if self.fault and self.steps == 3 and self.is_hit():
            if self.fault == "raise":
                raise ValueError("the world is broken")
            if self.fault == "exit":
                os._exit(3)
            time.sleep(1_000)
        if self.seconds:
            time.sleep(self.seconds)
        noise = self.np_random.standard_normal(10)
        self.state = (0.9 * self.state + 0.1 * noise + 0.1 * action).astype(np.float32)
        reward = float(self.state[action])
        return self.state, reward, self.steps >= self.length, False, self.info()

    def is_training(self):
        """Whether the episode is one of training."""
        return self.seed % 4 == 0  # TRAINING, see dqn_tf.config.seeding

    def is_hit(self):
        """Whether the fault happens now: to training alone, once where there is a file."""
        if not self.is_training():
            return False
        if not self.once:
            return True
        try:
            Path(self.once).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


gym.register("World-v0", entry_point="remote_worlds:World")
