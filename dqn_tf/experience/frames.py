"""Stacked frames, each kept once: a ring of single frames, in which an observation is the numbers
of its frames.

Of the S frames of an observation all but one were in the observation before it. `numbered` stores
what is new in each step and puts the numbers of the frames [S] in the observations' places; windows
of n steps and replay then carry these like any other observation, and `stacks` gives the pictures
back once a batch is needed. NumPy only.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps

# number of the black frame, with which an environment fills the stack of an episode's beginning
BLANK = -1
SPARE = 64  # one frame more per so many transitions: an episode of L steps has L + 1 frames
# frames of one array in a checkpoint, so that a resume holds no second copy of them all
CHUNK = 4096


class Frames:
    """The newest frames [H, W] of N environments whose observations are stacks [H, W, S], newest
    last.

    Frames are counted from 0; number i lies at i modulo `size`. What a stack holds is compared,
    never assumed, where an episode begins or a stack does not follow from the one before; so every
    observation comes back as it was, however the environment fills its stacks.
    """

    def __init__(self, size: int, num_envs: int, spaces: Spaces) -> None:
        *shape, self.stack = spaces.observation_shape
        self.size, self.added = size, 0
        # the last one stays black
        self.ring = np.zeros((size + 1, *shape), spaces.observation_dtype)
        # numbers of the newest stack of each environment
        self._current = np.full((num_envs, self.stack), BLANK)
        self._begins = np.ones(num_envs, bool)  # whether the next stack need not be that one
        # the newest frame's pixels in a stack
        self._newest = (
            np.arange(int(np.prod(spaces.observation_shape))) % self.stack == self.stack - 1
        )

    @property
    def first(self) -> int:
        """The lowest number that is not yet overwritten."""
        return max(0, self.added - self.size)

    def numbered(self, steps: Steps) -> Steps:
        """The same steps, with [T, N, S] int64 as observation and next_observation:

        the numbers of their frames, which are now kept.
        """
        observation, next_observation = (
            np.empty((*steps.action.shape, self.stack), np.int64) for _ in range(2)
        )
        follows = self._follows(steps)
        for t, env in np.ndindex(*steps.action.shape):
            if self._begins[env]:
                self._current[env] = self._compared(env, steps.observation[t, env])
            observation[t, env] = self._current[env]
            if follows[t, env]:
                self._current[env] = [
                    *self._current[env, 1:],
                    self._store(steps.next_observation[t, env, ..., -1]),
                ]
            else:
                self._current[env] = self._compared(env, steps.next_observation[t, env])
            next_observation[t, env] = self._current[env]
            self._begins[env] = steps.ended[t, env]
        return dataclasses.replace(
            steps, observation=observation, next_observation=next_observation
        )

    def _follows(self, steps: Steps) -> np.ndarray:
        """Whether a step's next stack is its stack without the oldest frame and with some newest
        one, [T, N] bool.
        """
        # Pixel by pixel in memory's order, an older frame's is followed by the next frame's: two
        # thirds of the time that parts of stacks take.
        before, after = (
            stacks.reshape(*steps.action.shape, -1)
            for stacks in (steps.observation, steps.next_observation)
        )
        return ((after[..., :-1] == before[..., 1:]) | self._newest[:-1]).all(axis=2)

    def stacks(self, numbers: np.ndarray) -> np.ndarray:
        """[..., S] int64 → [..., H, W, S], the observations with these frames."""
        places = np.where(numbers < 0, self.size, numbers % self.size)
        stacks = np.empty((*numbers.shape[:-1], *self.ring.shape[1:], self.stack), self.ring.dtype)
        for k in range(self.stack):  # five times as fast as gathering all and turning the axes
            stacks[..., k] = self.ring[places[..., k]]
        return stacks

    def rows(self) -> dict[str, np.ndarray]:
        """The filled part of the ring in pieces, as it lies:

        with `state`, all that `restore` needs. No copies.
        """
        filled = min(self.added, self.size)
        return {
            f"frames/{start}": self.ring[start : min(start + CHUNK, filled)]
            for start in range(0, filled, CHUNK)
        }

    def state(self) -> dict[str, Any]:
        """What lies beside the frames."""
        return {
            "added": self.added,
            "size": self.size,
            "current": self._current.tolist(),
            "begins": self._begins.tolist(),
        }

    def restore(self, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Takes over what `rows` and `state` gave, a piece at a time; of a larger ring, the newest
        frames that fit. Numbers stay.
        """
        self.added, size = state["added"], state["size"]
        self._current[:], self._begins[:] = state["current"], state["begins"]
        for start in range(0, min(self.added, size), CHUNK):
            piece = rows[f"frames/{start}"]
            places = np.arange(start, start + len(piece))
            # the last that was put there
            numbers = self.added - 1 - (self.added - 1 - places) % size
            kept = numbers >= self.first
            self.ring[numbers[kept] % self.size] = piece[kept]

    def _store(self, frame: np.ndarray) -> int:
        self.ring[self.added % self.size] = frame
        self.added += 1
        return self.added - 1

    def _compared(self, env: int, stack: np.ndarray) -> list[int]:
        """Numbers of a stack's frames:

        of the black one, of those known from this environment's newest stack, or new ones.
        """
        numbers = []
        for k in range(self.stack):
            frame, known = stack[..., k], self._current[env, k]
            if not frame.any():
                numbers.append(BLANK)
            elif known >= self.first and np.array_equal(frame, self.ring[known % self.size]):
                numbers.append(int(known))
            elif k and np.array_equal(frame, stack[..., k - 1]):
                numbers.append(numbers[-1])
            else:
                numbers.append(self._store(frame))
        return numbers


def recorded_stacks(
    numbers: np.ndarray, rows: Mapping[str, np.ndarray], state: Mapping[str, Any]
) -> np.ndarray:
    """[n, S] int64 → [n, H, W, S], out of what `rows` and `state` gave; only the pieces that are
    needed are read.
    """
    places, first = numbers % state["size"], rows["frames/0"]
    starts = np.where(numbers < 0, BLANK, places // CHUNK * CHUNK)
    stacks = np.zeros((*numbers.shape, *first.shape[1:]), first.dtype)  # a blank frame is black
    for start in np.unique(starts[starts >= 0]):
        piece, here = rows[f"frames/{start}"], starts == start
        stacks[here] = piece[places[here] - start]
    return np.moveaxis(stacks, 1, -1)


def numbered_spaces(spaces: Spaces) -> Spaces:
    """Spaces in which an observation is the numbers of its frames."""
    return dataclasses.replace(
        spaces, observation_shape=spaces.observation_shape[-1:], observation_dtype="int64"
    )


def ring_size(capacity: int, num_envs: int, n_step: int, spaces: Spaces) -> int:
    """Frames that `capacity` transitions need:

    one each, one more per episode, and those of unfinished windows.
    """
    return capacity + capacity // SPARE + num_envs * (n_step + spaces.observation_shape[-1]) + SPARE


def bytes_per_frame(spaces: Spaces) -> int:
    """Memory that one frame takes."""
    return int(np.prod(spaces.observation_shape[:-1])) * np.dtype(spaces.observation_dtype).itemsize
