"""CartPole whose step takes as long as that of a real simulator.

`--env=benchmarks.distributed.slow_env:SlowCartPole-v0`. Gymnasium only, so that the environment of
another project can play it.
"""

import time
from typing import Any

import gymnasium as gym
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

ENV_ID = "SlowCartPole-v0"
SLEEP = "sleep"  # as one who waits for a simulator on another machine
COMPUTE = "compute"  # as a simulator in this process
KINDS = (SLEEP, COMPUTE)


class SlowCartPole(CartPoleEnv):
    """CartPole's physics after a wait of `milliseconds`, which uses no CPU or all of a core."""

    def __init__(
        self, milliseconds: float = 5.0, kind: str = SLEEP, render_mode: str | None = None
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind is {kind!r}: must be {' or '.join(KINDS)}")
        super().__init__(render_mode=render_mode)
        self._seconds = milliseconds / 1000
        self._wait = time.sleep if kind == SLEEP else compute

    def step(self, action: Any) -> Any:
        """Wait, then take CartPole's step."""
        self._wait(self._seconds)
        return super().step(action)


def compute(seconds: float) -> None:
    """Use so much CPU time, however long that takes."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


gym.register(
    id=ENV_ID,
    entry_point=f"{__name__}:SlowCartPole",
    max_episode_steps=500,
    reward_threshold=475.0,
)
