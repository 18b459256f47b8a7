"""One column of a batch of transitions: what it must be, and what is said where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

Batch = dict[str, tf.Tensor]

MEANINGS = {
    "discount": "gamma, or 0 where the episode terminated",
    "weight": "the weight of each transition in the loss",
    "is_logged": "1 for a transition of logged data, 0 for one of the agent's own",
    "action_mask": "true where an action is legal",
    "next_action_mask": "true where an action is legal",
}
DISCOUNT_OF = "There is no `done` here: discount is np.where(terminated, 0.0, gamma)."


class Column(NamedTuple):
    """What one column must be: `low` and `high` are the range of its values, both included."""

    shape: tuple[int, ...]  # of one row
    dtype: tf.DType
    low: float
    high: float
    meaning: str
    is_flag: bool = False  # of numbers that bools stand for too

    def takes(self, dtype: tf.DType) -> bool:
        """Return whether values of this dtype can be cast without a change of meaning."""
        if self.dtype.is_floating:
            return dtype.is_floating or dtype.is_integer or (dtype.is_bool and self.is_flag)
        return dtype.is_integer or (dtype.is_bool and self.high <= 1)

    def __str__(self) -> str:
        shape = ", ".join(["B", *map(str, self.shape)])
        if self.dtype.is_integer and np.isfinite(self.high):
            kind = f"integers from {self.low:.0f} to {self.high:.0f}"
        else:
            kind = self.dtype.name
        return f"{kind} [{shape}]" + self.in_words

    @property
    def in_words(self) -> str:
        """The meaning as the end of a sentence."""
        return f": {self.meaning}" if self.meaning else ""


def make_column(name: str, shape: tuple[int, ...], dtype: tf.DType, spaces: Spaces) -> Column:
    """Return what a column must be, its range included."""
    low, high = -np.inf, np.inf
    meaning = MEANINGS.get(name, "")
    if name == "action":
        low, high = 0, spaces.actions - 1
        if spaces.action_start:
            meaning = f"the environment's own numbers minus {spaces.action_start}"
    elif name in ("observation", "next_observation") and spaces.categories:
        low, high = spaces.category_start, spaces.category_start + spaces.categories - 1
    elif name in ("discount", "is_logged"):
        low, high = 0, 1
    elif name == "weight":
        low = 0
    elif dtype.is_bool:
        low, high = 0, 1
    elif dtype.is_integer:
        low, high = dtype.min, dtype.max
    return Column(shape, dtype, low, high, meaning, is_flag=name == "is_logged")


def require_observation(observation: Any, spaces: Spaces) -> None:
    """Raise UserError if these are no observations [B, *shape] that a network can read."""
    dtype = tf.as_dtype(spaces.observation_dtype)
    column = make_column("observation", spaces.observation_shape, dtype, spaces)
    require_column("observation", observation, column)


def require_column(name: str, value: Any, column: Column) -> None:
    """Raise UserError if a tensor's, an array's or a specification's shape or dtype is wrong."""
    shape = shape_of(value)
    dtype = tf.as_dtype(value.dtype)
    fits = shape.is_compatible_with((None, *column.shape)) and column.takes(dtype)
    if not fits:
        hint = ""
        if is_row(value, column):
            hint = " It lacks the axis of the batch: value[np.newaxis] is a batch of one."
        elif name == "discount" and dtype.is_bool:
            hint = f" {DISCOUNT_OF}"
        raise UserError(f"The column {name} is {describe(value)}; it must be {column}.{hint}")


def is_row(value: Any, column: Column) -> bool:
    """Return whether the value lacks the axis of the batch."""
    shape = shape_of(value)
    return shape.rank == len(column.shape) and shape.is_compatible_with(column.shape)


def shape_of(value: Any) -> tf.TensorShape:
    return tf.TensorShape(value.shape)


def describe(value: Any) -> str:
    """Return dtype and shape in words: `float32 [B, 4]`."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return f"a dict of {describe_all(value) or 'nothing'}"
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return f"a {type(value).__name__}"
    shape = shape_of(value)
    if shape.rank is None:
        return tf.as_dtype(value.dtype).name
    sizes = ["B" if size is None else str(size) for size in shape]
    return f"{tf.as_dtype(value.dtype).name} [{', '.join(sizes)}]"


def describe_all(named: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {describe(value)}" for name, value in named.items())
