"""Observations that are tokens: what their environment says of them, and their text."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.support.errors import UserError, describe_value


class Tokens(NamedTuple):
    """What an environment says of its tokens.

    Attributes:
      names: their names, from the smallest number on; None if they have none.
      padding: the number that fills an observation behind its end; None without one.
    """

    names: tuple[str, ...] | None
    padding: int | None


class Vocabulary(NamedTuple):
    """The tokens of a space: `size` of them, from `start` on."""

    size: int
    start: int
    padding: int | None


def tokens_of(env: Any) -> Tokens | None:
    """Return what `tokens` and `padding` of an environment, or of a wrapper, say.

    None if there are no `tokens`, or if they are no texts and so mean something else.
    """
    names = attribute_of(env, "tokens")
    if not isinstance(names, (list, tuple)) or not names:
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    return Tokens(tuple(names), attribute_of(env, "padding"))


def vocabulary_of(space: gym.Space, tokens: Tokens | None) -> Vocabulary | None:
    """Return the vocabulary of a space of observations; None if they are no tokens.

    A MultiDiscrete of one size throughout is of tokens. A Box of integers may as well hold numbers:
    it is of tokens where the environment names them. Raises UserError for names or a padding that
    do not fit the space.
    """
    bounds = _bounds(space, tokens is not None)
    if bounds is None:
        return None
    low, high = bounds
    size = high - low + 1
    names, padding = tokens or (None, None)
    if names is not None and len(names) != size:
        raise UserError(
            f"The environment names {len(names)} tokens (its attribute `tokens`), and its"
            f" observation space has {size}, from {low} to {high}. Give each number a name."
        )
    if padding is None:
        return Vocabulary(size, low, None)
    is_number = isinstance(padding, (int, np.integer)) and not isinstance(padding, bool)
    if not is_number or not low <= padding <= high:
        raise UserError(
            f"The environment's attribute `padding` is {describe_value(padding)}, and must be one"
            f" of its tokens, from {low} to {high}, or None."
        )
    return Vocabulary(size, low, int(padding))


def to_text(observation: np.ndarray, names: Sequence[str], start: int, padding: int | None) -> str:
    """Return tokens [T], numbers from `start` on, as their names with spaces between them.

    Names of one character each, as of a vocabulary of characters, stand side by side.
    """
    said = [names[number - start] for number in observation.tolist() if number != padding]
    are_characters = all(
        len(name) == 1 for number, name in enumerate(names, start) if number != padding
    )
    return ("" if are_characters else " ").join(said)


def _bounds(space: gym.Space, are_named: bool) -> tuple[int, int] | None:
    """Return the smallest and the largest token; None for a space that has no tokens."""
    if isinstance(space, gym.spaces.MultiDiscrete):
        low, high = space.start, space.start + space.nvec - 1
    elif are_named and isinstance(space, gym.spaces.Box) and np.dtype(space.dtype).kind in "iu":
        low, high = space.low, space.high
    else:
        return None
    is_sequence = low.ndim == 1 and low.size > 0
    if not is_sequence or (low != low[0]).any() or (high != high[0]).any():
        return None
    return int(low[0]), int(high[0])


def attribute_of(env: Any, name: str) -> Any:
    """Return the attribute of the outermost wrapper that has it, or of the environment."""
    with contextlib.suppress(Exception):
        return env.get_wrapper_attr(name)
    return None
