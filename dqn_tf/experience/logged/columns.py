"""What the columns of logged data are called, and what their values may be.

Nothing is changed that somebody would miss: floats are rounded to float32 where the environment's
own are, and nowhere else. Whole numbers are kept or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import describe_value

REQUIRED = ("episode", "observation", "action", "reward", "terminated", "truncated")
OF_STEPS = (*REQUIRED, "action_mask", "propensity", "step")
OF_EPISODES = ("has_final", "final_observation", "final_action_mask")
KNOWN = (*OF_STEPS, *OF_EPISODES)

INTEGERS = "biu"  # kinds of dtypes: bool, int, unsigned
LARGEST_WHOLE = 1 << 24  # up to here, float32 holds every whole number

Converter = Callable[[np.ndarray, Spaces], np.ndarray]


class BadValue(Exception):
    """What is wrong with a value of a column: the rest of a sentence; `row` is None for all."""

    def __init__(self, what: str, row: int | None = None) -> None:
        super().__init__(what)
        self.row = row


def row_shape(column: str, spaces: Spaces) -> tuple[int, ...]:
    """Return the shape of one row of a column."""
    if column in ("observation", "final_observation"):
        return spaces.observation_shape
    if column in ("action_mask", "final_action_mask"):
        return (spaces.actions,)
    return ()


def observation(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return observations [N, *shape] in the dtype of the spaces. Raises BadValue."""
    dtype = np.dtype(spaces.observation_dtype)
    if dtype.kind == "f":
        return _floats(values, "an observation")
    numbers = _whole(values, dtype)
    if spaces.categories:
        first = spaces.category_start
        last = first + spaces.categories - 1
        _require(
            (numbers >= first) & (numbers <= last),
            numbers,
            f"{{}} is no observation of the environment, whose numbers are {first} to {last}",
        )
    return numbers


def action(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return the environment's actions [N] counted from 0, int64. Raises BadValue."""
    numbers = _whole(values, np.dtype(np.int64))
    first = spaces.action_start
    last = first + spaces.actions - 1
    is_action = (numbers >= first) & (numbers <= last)
    sentence = f"{{}} is no action of the environment, whose actions are {first} to {last}"
    _require(is_action, numbers, sentence)
    return numbers - first


def reward(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return rewards [N] as float32. Raises BadValue."""
    return _floats(values, "a reward")


def truth(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return true and false, or 1 and 0, as bool of the same shape. Raises BadValue."""
    if values.dtype.kind == "b":
        return values
    if values.dtype.kind not in INTEGERS:
        raise BadValue(f"it is of type {values.dtype}, and must say true or false, or 1 or 0")
    _require((values == 0) | (values == 1), values, "{} must be true or false, or 1 or 0")
    return values.astype(bool)


def mask(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return masks of legal actions [N, A] bool. Raises BadValue."""
    legal = truth(values, spaces)
    _require(legal.any(axis=1), values, "{} makes no action legal, and one was taken")
    return legal


def number(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return numbers of episodes or of steps, from 0 on, int64. Raises BadValue."""
    numbers = _whole(values, np.dtype(np.int64))
    _require(numbers >= 0, numbers, "{} is negative, and must be a whole number from 0 on")
    return numbers


def propensity(values: np.ndarray, spaces: Spaces) -> np.ndarray:
    """Return probabilities in (0, 1] as float64. Raises BadValue."""
    if values.dtype.kind not in "fiu":
        raise BadValue(f"it is of type {values.dtype}, and must hold probabilities")
    sentence = (
        "{} must be above 0 and at most 1: it is the probability of the action that was taken"
    )
    _require((values > 0) & (values <= 1), values, sentence)
    return values.astype(np.float64, copy=False)


CONVERTERS: dict[str, Converter] = {
    "episode": number,
    "observation": observation,
    "action": action,
    "reward": reward,
    "terminated": truth,
    "truncated": truth,
    "action_mask": mask,
    "propensity": propensity,
    "step": number,
    "has_final": truth,
    "final_observation": observation,
    "final_action_mask": truth,
}


def _floats(values: np.ndarray, what: str) -> np.ndarray:
    """Return finite numbers as float32: floats are rounded, whole numbers must be held exactly."""
    if values.dtype.kind in INTEGERS:
        is_held = (values <= LARGEST_WHOLE) & (values >= -LARGEST_WHOLE)
        sentence = "{} would be rounded: float32 holds whole numbers up to 16,777,216"
        _require(is_held, values, sentence)
        return values.astype(np.float32)
    if values.dtype.kind != "f":
        raise BadValue(f"it is of type {values.dtype}, and must hold numbers")
    with np.errstate(over="ignore"):  # what is too large is told below
        floats = values.astype(np.float32, copy=False)
    # one sum tells it, in a third of the time of `isfinite` and `all`
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(floats.sum())
    if not is_finite:
        _require(np.isfinite(floats), values, f"{{}} is no finite float32, as {what} must be")
    return floats


def _whole(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return whole numbers in another type, which must hold them all."""
    if values.dtype.kind not in INTEGERS:
        raise BadValue(
            f"it is of type {values.dtype}, and must hold whole numbers, such as {dtype}: nothing"
            " is rounded"
        )
    if np.can_cast(values.dtype, dtype):
        return values.astype(dtype, copy=False)
    numbers = values.astype(dtype)
    _require(numbers == values, values, f"{{}} is not held by {dtype}, the type that is needed")
    return numbers


def _require(is_right: Any, values: np.ndarray, sentence: str) -> None:
    """Raise BadValue of the first row that is not right; its first wrong value is told."""
    if is_right.all():
        return
    index = tuple(np.argwhere(~is_right)[0].tolist())
    value = values[index]
    told = describe_value(value.tolist()) if isinstance(value, np.ndarray) else str(value)
    raise BadValue(sentence.format(told), index[0])
