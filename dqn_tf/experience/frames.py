"""Stacked frames, each kept once, in a ring of single frames. NumPy only.

Of the S frames of an observation all but one were in the observation before it. `numbered` stores
what is new in each step and puts the numbers of the frames [S] in the observations' places. Windows
of n steps and replay then carry these like any other observation, and `stacks` gives the pictures
back once a batch is needed.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps

# number of the black frame, with which an environment fills the stack of an episode's beginning
BLANK = -1
SPARE = 64  # one frame more per so many transitions: an episode of L steps has L + 1 frames
# frames of one array in a checkpoint, so that a resume holds no second copy of them all
CHUNK = 4096

Rows = Mapping[str, np.ndarray]


class Frames:
    """The newest frames [H, W] of N environments, whose observations are stacks [H, W, S].

    Frames are counted from 0; number i lies at i modulo `size`. The newest is the last of a stack.
    What a stack holds is compared, never assumed, where an episode begins or a stack does not
    follow from the one before. So every observation comes back as it was, however the environment
    fills its stacks.
    """

    def __init__(self, size: int, num_envs: int, spaces: Spaces) -> None:
        *frame_shape, self.stack = spaces.observation_shape
        self.size = size
        self.added = 0
        self._lost = 0  # the frames below this number were gone when a run was resumed
        # The place after the ring stays black: it is the blank frame's.
        self.ring = np.zeros((size + 1, *frame_shape), spaces.observation_dtype)
        # numbers of the newest stack of each environment, [N, S]
        self._current = np.full((num_envs, self.stack), BLANK)
        # whether a new episode's stack comes next, [N]
        self._begins = np.ones(num_envs, bool)
        # which pixels of a flat stack are the newest frame's, [H · W · S]
        pixels = np.arange(int(np.prod(spaces.observation_shape)))
        self._newest = pixels % self.stack == self.stack - 1

    @property
    def first(self) -> int:
        """The lowest number that is not yet overwritten."""
        return max(self._lost, self.added - self.size)

    def numbered(self, steps: Steps) -> Steps:
        """Keep the frames of `steps`, and return the steps with their numbers as observations.

        observation and next_observation are [T, N, S] int64.
        """
        numbers_shape = (*steps.action.shape, self.stack)
        observation = np.empty(numbers_shape, np.int64)
        next_observation = np.empty(numbers_shape, np.int64)
        follows = self._follows(steps)
        for t, env in np.ndindex(*steps.action.shape):
            if self._begins[env]:
                self._current[env] = self._compared(env, steps.observation[t, env])
            observation[t, env] = self._current[env]
            next_stack = steps.next_observation[t, env]
            if follows[t, env]:
                newest = self._store(next_stack[..., -1])
                self._current[env] = [*self._current[env, 1:], newest]
            else:
                self._current[env] = self._compared(env, next_stack)
            next_observation[t, env] = self._current[env]
            self._begins[env] = steps.ended[t, env]
        return dataclasses.replace(
            steps, observation=observation, next_observation=next_observation
        )

    def _follows(self, steps: Steps) -> np.ndarray:
        """Tell where a next stack is the stack without its oldest frame and one newer, [T, N]."""
        # Pixel by pixel in memory's order, an older frame's is followed by the next frame's: two
        # thirds of the time that parts of stacks take.
        flat = (*steps.action.shape, -1)
        before = steps.observation.reshape(flat)
        after = steps.next_observation.reshape(flat)
        is_shifted = after[..., :-1] == before[..., 1:]  # [T, N, H · W · S - 1]
        return (is_shifted | self._newest[:-1]).all(axis=2)

    def forget(self, envs: Sequence[int]) -> None:
        """Compare the next stacks of these environments: they need not follow those before."""
        self._begins[envs] = True

    def stacks(self, numbers: np.ndarray) -> np.ndarray:
        """Return the observations with these frames: [..., S] int64 → [..., H, W, S]."""
        places = np.where(numbers < 0, self.size, numbers % self.size)
        frame_shape = self.ring.shape[1:]
        stacks = np.empty((*numbers.shape[:-1], *frame_shape, self.stack), self.ring.dtype)
        for k in range(self.stack):  # five times as fast as gathering all and turning the axes
            stacks[..., k] = self.ring[places[..., k]]
        return stacks

    def rows(self) -> dict[str, np.ndarray]:
        """Return the filled part of the ring in pieces, as it lies.

        With `state`, this is all that `restore` needs. No copies.
        """
        filled = min(self.added, self.size)
        return {
            f"frames/{start}": self.ring[start : min(start + CHUNK, filled)]
            for start in range(0, filled, CHUNK)
        }

    def state(self) -> dict[str, Any]:
        """Return what lies beside the frames."""
        return {
            "added": self.added,
            "size": self.size,
            "first": self.first,
            "current": self._current.tolist(),
            "begins": self._begins.tolist(),
        }

    def restore(self, rows: Rows, state: Mapping[str, Any]) -> None:
        """Take over what `rows` and `state` returned, a piece at a time.

        Of a larger ring these are the newest frames that fit. Numbers stay.
        """
        self.added = state["added"]
        size = state["size"]
        # earlier versions did not save it
        self._lost = state.get("first", max(0, self.added - size))
        self._current[:] = state["current"]
        self._begins[:] = state["begins"]
        for start in range(0, min(self.added, size), CHUNK):
            piece = rows[f"frames/{start}"]
            places = np.arange(start, start + len(piece))
            # the number of the last frame that was put there
            numbers = self.added - 1 - (self.added - 1 - places) % size
            kept = numbers >= self.first
            self.ring[numbers[kept] % self.size] = piece[kept]

    def _store(self, frame: np.ndarray) -> int:
        self.ring[self.added % self.size] = frame
        self.added += 1
        return self.added - 1

    def _compared(self, env: int, stack: np.ndarray) -> list[int]:
        """Return the numbers of a stack's frames.

        Each is the black one's, one of this environment's newest stack, the one before it, or new.
        """
        numbers: list[int] = []
        for k in range(self.stack):
            frame = stack[..., k]
            known = self._current[env, k]
            if not frame.any():
                numbers.append(BLANK)
            elif known >= self.first and np.array_equal(frame, self.ring[known % self.size]):
                numbers.append(int(known))
            elif k and np.array_equal(frame, stack[..., k - 1]):
                numbers.append(numbers[-1])
            else:
                numbers.append(self._store(frame))
        return numbers


def recorded_stacks(numbers: np.ndarray, rows: Rows, state: Mapping[str, Any]) -> np.ndarray:
    """Return stacks out of what `rows` and `state` returned: [n, S] int64 → [n, H, W, S].

    Only the pieces that are needed are read.
    """
    places = numbers % state["size"]
    starts = np.where(numbers < 0, BLANK, places // CHUNK * CHUNK)
    first = rows["frames/0"]
    stacks = np.zeros((*numbers.shape, *first.shape[1:]), first.dtype)  # a blank frame is black
    for start in np.unique(starts[starts >= 0]):
        piece = rows[f"frames/{start}"]
        here = starts == start
        stacks[here] = piece[places[here] - start]
    return np.moveaxis(stacks, 1, -1)


def numbered_spaces(spaces: Spaces) -> Spaces:
    """Return the spaces in which an observation is the numbers of its frames."""
    return dataclasses.replace(
        spaces,
        observation_shape=spaces.observation_shape[-1:],
        observation_dtype="int64",
        picture="",
    )


def ring_size(capacity: int, num_envs: int, n_step: int, spaces: Spaces) -> int:
    """Return the number of frames that `capacity` transitions need.

    It is one each, one more per episode, and those of unfinished windows.
    """
    unfinished = num_envs * (n_step + spaces.observation_shape[-1])
    return capacity + capacity // SPARE + unfinished + SPARE


def bytes_per_frame(spaces: Spaces) -> int:
    """Return the memory that one frame takes."""
    pixels = int(np.prod(spaces.observation_shape[:-1]))
    return pixels * np.dtype(spaces.observation_dtype).itemsize
