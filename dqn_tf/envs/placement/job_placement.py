"""Jobs arrive one by one, and each is placed on a machine with room for it or turned away.

A job stays until the end, so room that is given to a small one now is missing for a large one later
(vector bin packing, online, with values).
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.envs.action_numbers import action_of
from dqn_tf.envs.placement import picture
from dqn_tf.envs.placement.jobs import KINDS, Kind, Machine, fits, place
from dqn_tf.support.errors import UserError, describe_value

ENV_ID = "dqn_tf/JobPlacement-v0"
LARGEST_VALUE = max(kind.value for kind in KINDS)


class JobPlacement(gym.Env):
    """Observes what is free and the job that has arrived; chooses a machine or turns it away.

    An observation is [2 M + 4] float32, all from 0 to 1: of each machine the shares of its cores
    and of its GB that are free, then the job's cores and GB as shares of an empty machine, its
    value as a share of the largest, and the share of jobs that are still to come, this one among
    them. Action m places the job on machine m; action M turns it away, which is always legal. The
    reward is the job's value where it is placed, else 0. `info["action_mask"]` [M + 1] bool says
    where there is room. `render` gives a line of text for each machine ("ansi") or a picture of
    them [60 M + 72, 216, 3] uint8 ("rgb_array").

    Args:
      machines: how many there are, M.
      cores: of each machine.
      memory: GB of each machine.
      jobs: that arrive in an episode.

    Raises UserError for anything but whole numbers from 1 on.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        machines: int = 3,
        cores: int = 4,
        memory: int = 4,
        jobs: int = 12,
        render_mode: str | None = None,
    ) -> None:
        sizes = {"machines": machines, "cores": cores, "memory": memory, "jobs": jobs}
        for name, value in sizes.items():
            if type(value) is not int or value < 1:
                raise UserError(
                    f"{ENV_ID}: {name} is {describe_value(value)}, and must be a whole number, at"
                    " least 1."
                )
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"{ENV_ID} renders as ansi or rgb_array, not as {render_mode}.")
        self.observation_space = gym.spaces.Box(0.0, 1.0, (2 * machines + 4,), np.float32)
        self.action_space = gym.spaces.Discrete(machines + 1)
        self.render_mode = render_mode
        self.jobs = jobs
        self.empty: Machine = (cores, memory)
        self.machines: list[Machine] = [self.empty] * machines
        self.left = jobs
        self.job: Kind = KINDS[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Empty all machines; the first job arrives."""
        super().reset(seed=seed)
        self.machines = [self.empty] * len(self.machines)
        self.left = self.jobs
        self._draw()
        return self.observation(), self._info()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Place the job or turn it away; the next one arrives.

        Raises UserError for a machine without room, and for what is no action.
        """
        action = action_of(self, action)
        reward = 0.0
        if action < len(self.machines):
            if not fits(self.job, self.machines[action]):
                raise UserError(f"{ENV_ID}: machine {action} has no room for a {self.job.name}.")
            self.machines[action] = place(self.job, self.machines[action])
            reward = self.job.value
        self.left -= 1
        self._draw()
        return self.observation(), reward, self.left == 0, False, self._info()

    def observation(self) -> np.ndarray:
        """Return what is observed now."""
        job = self.job
        free = np.array([*self.machines, (job.cores, job.memory)], np.float32) / self.empty
        rest = (job.value / LARGEST_VALUE, self.left / self.jobs)
        # a job that fits no machine asks for more than all of one
        return np.minimum(np.concatenate([free.reshape(-1), rest]), 1.0).astype(np.float32)

    def mask(self) -> np.ndarray:
        """Return which actions are legal now, [M + 1] bool."""
        has_room = [fits(self.job, machine) for machine in self.machines]
        return np.array([*has_room, True])

    def get_action_meanings(self) -> list[str]:
        """Return what each action does."""
        numbers = range(1, len(self.machines) + 1)
        return [*(f"place on machine {number}" for number in numbers), "turn away"]

    def render(self) -> str | np.ndarray | None:
        """Return what is taken of each machine, and the job that waits."""
        if self.render_mode == "rgb_array":
            return picture.draw(self.machines, self.empty, self.job if self.left else None)
        return self._text() if self.render_mode == "ansi" else None

    def _text(self) -> str:
        cores, memory = self.empty
        lines = [
            f"machine {number}   cores {_bar(cores - free[0], cores)}   GB"
            f" {_bar(memory - free[1], memory)}"
            for number, free in enumerate(self.machines, 1)
        ]
        job = self.job
        waits = f"{job.name}: cores {job.cores}, GB {job.memory}, worth {job.value:g}"
        return "\n".join([*lines, f"{waits}; {self.left} to come" if self.left else "done", ""])

    def _draw(self) -> None:
        number = self.np_random.choice(len(KINDS), p=[kind.chance for kind in KINDS])
        self.job = KINDS[number]

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.mask()}


def _bar(taken: int, size: int) -> str:
    return "#" * taken + "." * (size - taken)
