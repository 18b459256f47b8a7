"""Steps on their way from a worker: every observation, or single frame, travels once.

A step's next observation is the one that the next step begins with, except where an episode ended.
Of a stack of frames all but one were in the stack before. What differs from this is sent as it is,
so that `unpack` gives back every bit, however the environment behaves.
"""

import dataclasses

import numpy as np

from dqn_tf.experience.steps import Steps

Packed = dict[str, np.ndarray]
OBSERVATIONS = ("observation", "next_observation")


def pack(steps: Steps, observation: np.ndarray, stack: int) -> Packed:
    """Return what `unpack` needs: steps [T, n] and the `observation` [n, *shape] after them.

    `stack` is the number of frames in an observation's last axis, 0 without such.
    """
    packed = {name: column for name, column in vars(steps).items() if name not in OBSERVATIONS}
    following = np.concatenate([steps.observation[1:], observation[np.newaxis]])
    packed |= _those(following, _differ(following, steps.next_observation), "begin")
    if stack:
        shifted = _differ(steps.next_observation[..., :-1], steps.observation[..., 1:])
        packed |= _those(steps.next_observation, shifted, "jump")
        packed["frame"] = np.ascontiguousarray(steps.next_observation[..., -1])
    else:
        packed["next_observation"] = steps.next_observation
    return packed


def unpack(packed: Packed, observation: np.ndarray) -> tuple[Steps, np.ndarray]:
    """Return the steps, and the observations [n, *shape] after them, as arrays of their own.

    `observation` [n, *shape] are those before them.
    """
    length = len(packed["action"])
    observations = np.empty((length + 1, *observation.shape), observation.dtype)
    following = np.empty((length, *observation.shape), observation.dtype)
    observations[0] = observation
    is_stacked = "frame" in packed
    for t in range(length):
        if is_stacked:
            following[t, ..., :-1] = observations[t, ..., 1:]
            following[t, ..., -1] = packed["frame"][t]
            _put(following, packed, "jump", t)
        else:
            following[t] = packed["next_observation"][t]
        observations[t + 1] = following[t]
        _put(observations[1:], packed, "begin", t)
    names = [field.name for field in dataclasses.fields(Steps) if field.name not in OBSERVATIONS]
    columns = {name: packed[name].copy() for name in names}
    steps = Steps(observation=observations[:-1], next_observation=following, **columns)
    return steps, observations[-1].copy()


def _those(values: np.ndarray, where: np.ndarray, name: str) -> Packed:
    """Return the places [k, 2] where [T, n] bool, and the values [k, *shape] there."""
    return {f"{name}_places": np.argwhere(where), f"{name}_values": values[where]}


def _put(values: np.ndarray, packed: Packed, name: str, t: int) -> None:
    """Put back those of step t."""
    places = packed[f"{name}_places"]
    for row in np.flatnonzero(places[:, 0] == t):
        values[t, places[row, 1]] = packed[f"{name}_values"][row]


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Tell where two arrays [T, n, ...] differ in any bit, [T, n] bool."""
    size = one.shape[:2]
    bits = [np.ascontiguousarray(array).reshape(*size, -1).view(np.uint8) for array in (one, other)]
    different: np.ndarray = (bits[0] != bits[1]).any(axis=2)
    return different
