"""Small environments whose episodes are recorded: masks of both kinds, and pictures."""

import gymnasium as gym
import numpy as np


class Masked(gym.Env):
    """An observation of two numbers; one of the first two actions is illegal in turn.

    The mask is part of the observation, or with `in_info` of the info. The third action ends the
    episode; action numbers begin at 5.
    """

    action_space = gym.spaces.Discrete(3, start=5)

    def __init__(self, in_info: bool = False) -> None:
        self.in_info = in_info
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
        if not in_info:
            self.observation_space = gym.spaces.Dict(
                {
                    "observation": self.observation_space,
                    "action_mask": gym.spaces.MultiBinary(3),
                }
            )

    def _answer(self):
        mask = np.array([self.count % 2, 1 - self.count % 2, 1], np.int8)
        observation = np.array([self.count, self.start], np.float32)
        if self.in_info:
            return observation, {"action_mask": mask}
        return {"observation": observation, "action_mask": mask}, {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        self.start = float(self.np_random.random())
        return self._answer()

    def step(self, action):
        assert action == 7 or action - 5 != self.count % 2, "an illegal action"
        self.count += 1
        observation, info = self._answer()
        return observation, float(action), bool(action == 7), self.count == 8, info


class Noise(gym.Env):
    """Pictures of noise, which no lossy encoding keeps; three steps an episode."""

    action_space = gym.spaces.Discrete(2)
    observation_space = gym.spaces.Box(0, 255, (48, 40, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self._picture(), {}

    def _picture(self):
        return self.np_random.integers(0, 256, (48, 40, 3), np.uint8)

    def step(self, action):
        self.count += 1
        return self._picture(), 1.0, False, self.count == 3, {}


gym.register("Masked-v0", Masked)
gym.register("MaskedInfo-v0", Masked, kwargs={"in_info": True})
gym.register("NoisePictures-v0", Noise)
