"""What an environment may return, value by value.

Each function takes what somebody else's code returned, whatever it is, and returns what dqn_tf goes
on with. What cannot be meant raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.support.errors import describe_value

LARGEST = float(np.finfo(np.float32).max)
NUMBERS = "biuf"  # kinds of dtypes: bool, int, unsigned, float
INTEGERS = "biu"

RESET_ADVICE = (
    "Gymnasium's reset returns (observation, info), and the old Gym's the observation alone. Change"
    " it to: return observation, {}"
)
STEP_ADVICE = (
    "Gymnasium's step returns (observation, reward, terminated, truncated, info), and the old Gym's"
    " one `done` for both ends. Change it to: return observation, reward, done, False, info"
)


class Refused(Exception):
    """What an environment did wrong, as the rest of a sentence that begins with its name."""


def reset_answer(answer: Any) -> tuple[Any, Any]:
    """Take apart what `reset` returned."""
    if isinstance(answer, tuple) and len(answer) == 2:
        return answer
    if answer is None:
        raise Refused(
            "returned None from reset: Gymnasium's reset returns (observation, info). Add: return"
            " observation, {}"
        )
    raise Refused(f"returned {_kind(answer)} from reset: {RESET_ADVICE}")


def step_answer(answer: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Take apart what `step` returned."""
    if isinstance(answer, (tuple, list)) and len(answer) == 5:
        observation, reward, terminated, truncated, info = answer
        return observation, reward, terminated, truncated, info
    if isinstance(answer, (tuple, list)) and len(answer) == 4:
        raise Refused(f"returned 4 values from step, not enough values: {STEP_ADVICE}")
    raise Refused(
        f"returned {_kind(answer)} from step: Gymnasium's step returns (observation, reward,"
        " terminated, truncated, info)"
    )


def info_of(info: Any) -> Mapping[str, Any]:
    """Require a mapping."""
    if isinstance(info, Mapping):
        return info
    raise Refused(f"returned the info {describe_value(info)}: it must be a dict, such as {{}}")


def reward_of(reward: Any) -> float:
    """Require one number that float32 holds."""
    if not isinstance(reward, (float, int)):
        array = as_array(reward, "the reward")
        if array.size != 1 or array.dtype.kind not in NUMBERS:
            raise Refused(f"returned the reward {describe_value(reward)}: it must be one number")
        reward = array.item()
    try:
        number = float(reward)
    except OverflowError:
        raise Refused(_too_large("the reward", describe_value(reward))) from None
    if -LARGEST <= number <= LARGEST:
        return number
    if np.isfinite(number):
        raise Refused(_too_large("the reward", f"{number:g}"))
    raise Refused(f"returned the reward {number}: it must be one finite number")


def truth_of(value: Any, name: str) -> bool:
    """Require True or False, or the numbers 1 or 0."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    array = as_array(value, f"the {name}")
    if array.size == 1 and array.dtype.kind in NUMBERS and array.item() in (0, 1):
        return bool(array.item())
    raise Refused(f"returned {name} {describe_value(value)}: it must be True or False")


def mask_of(mask: Any, actions: int) -> np.ndarray:
    """Return a mask of legal actions as a new array [A] bool."""
    array = _as_array(mask)
    if array is None or array.dtype.kind not in NUMBERS:
        raise Refused(
            f"gave the action_mask {describe_value(mask)}: it must say True or False of each action"
        )
    if array.shape != (actions,):
        raise Refused(
            f"gave an action_mask of shape {list(array.shape)}: it must be [{actions}], one for"
            " each action"
        )
    legal = array.astype(bool)
    if array.dtype.kind != "b" and not (array == legal).all():
        raise Refused(
            f"gave the action_mask {describe_value(mask)}: it must say True or False, or 1 or 0,"
            " of each action"
        )
    return legal


def parts_of(observation: Any) -> tuple[Any, Any]:
    """Return observation proper and mask of a Dict observation with `action_mask`."""
    require_entries(observation, ("observation", "action_mask"))
    return observation["observation"], observation["action_mask"]


def require_entries(observation: Any, names: Sequence[Any]) -> None:
    """Require a mapping that has all these entries."""
    if not isinstance(observation, Mapping):
        raise Refused(
            f"returned an observation of type {type(observation).__name__}, but its space says a"
            f" dict of {' and '.join(map(str, names))}"
        )
    for name in names:
        if name not in observation:
            raise Refused(f"returned an observation without its {name}, which its space has")


def observation_of(observation: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an observation as an array of this shape and type, without changing a value.

    Floats are rounded to float32. Whole numbers may come in another type that has them.
    """
    array = _as_array(observation)
    if array is None or (array.dtype.kind not in NUMBERS and not array.shape):
        raise Refused(
            f"returned an observation of type {type(observation).__name__}, but its space says"
            f" {dtype} {list(shape)}"
        )
    if array.dtype.kind not in NUMBERS:
        raise _wrong_type(array, dtype)
    if array.shape != shape:
        raise Refused(
            f"returned an observation of shape {list(array.shape)}, but its space says"
            f" {list(shape)}"
        )
    if array.dtype == dtype:
        return array
    if dtype.kind in INTEGERS:
        return _whole_numbers(array, dtype)
    with np.errstate(over="ignore"):  # what is too large is told by `require_finite`
        return array.astype(dtype)


def require_finite(array: np.ndarray, observation: Any) -> None:
    """Refuse an observation that is NaN, infinite, or too large for float32.

    `array` is the `observation` as float32.
    """
    is_finite = np.isfinite(array)
    if is_finite.all():
        return
    index = tuple(np.argwhere(~is_finite)[0].tolist())
    value = np.asarray(observation)[index]
    where = f" at index {list(index)}" if index else ""
    if np.isfinite(value):
        raise Refused(_too_large("an observation of", f"{value:g}{where}"))
    raise Refused(f"returned an observation of {value}{where}: it must be finite")


def as_array(value: Any, what: str) -> np.ndarray:
    """Return a value as an array, if it can be one."""
    array = _as_array(value)
    if array is None:
        raise Refused(f"returned {what} {describe_value(value)}: it must be one number")
    return array


def _as_array(value: Any) -> np.ndarray | None:
    """Return a value as an array; None if NumPy cannot make one of it."""
    try:
        return np.asarray(value)
    except Exception:  # lists of different lengths, or whatever an object's `__array__` raises
        return None


def _whole_numbers(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return integers in another integer type, which must hold them all."""
    if array.dtype.kind not in INTEGERS:
        raise _wrong_type(array, dtype)
    converted = array.astype(dtype)
    if not (converted == array).all():
        index = tuple(np.argwhere(converted != array)[0].tolist())
        where = f" at index {list(index)}" if index else ""
        raise Refused(
            f"returned an observation of {array[index]}{where}, but its space says {dtype}, which"
            " does not hold it"
        )
    return converted


def _wrong_type(array: np.ndarray, dtype: np.dtype) -> Refused:
    return Refused(f"returned an observation of type {array.dtype}, but its space says {dtype}")


def _kind(answer: Any) -> str:
    if isinstance(answer, (tuple, list)):
        return f"a {type(answer).__name__} of {len(answer)}"
    return f"a value of type {type(answer).__name__}"


def _too_large(what: str, value: str) -> str:
    return f"returned {what} {value}, which float32 does not hold: the largest is {LARGEST:.3g}"
