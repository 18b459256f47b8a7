"""What an agent of MiniGrid sees, as ones and zeros."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

# minigrid.core.constants: kinds of things, their colours, and states: those of a door are three,
# and an agent that is in the picture has one of four directions there
COUNTS = (11, 6, 4)


class Cells(gym.ObservationWrapper):
    """Observes [height, width, 21] bool: of each cell the thing in it, its colour and its state.

    MiniGrid numbers them, and the size of a number says nothing: a door, 4, is not twice a wall, 2.
    So each number is told by a 1 at its place. The mission, a text, and the direction are left out:
    the picture is seen from the agent, or has the agent in it, which looks somewhere. Wrappers such
    as FullyObsWrapper may be inside this one.
    """

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        picture = env.observation_space["image"]  # type: ignore[index]
        height, width, _ = picture.shape
        shape = height, width, sum(COUNTS)
        self.observation_space = gym.spaces.Box(0, 1, shape, np.bool_)  # type: ignore[arg-type]

    def observation(self, observation: dict[str, Any]) -> np.ndarray:
        """Return the picture [height, width, 3] of numbers as ones and zeros."""
        numbers = observation["image"]
        layers = [np.eye(count, dtype=bool)[numbers[..., i]] for i, count in enumerate(COUNTS)]
        return np.concatenate(layers, -1)
