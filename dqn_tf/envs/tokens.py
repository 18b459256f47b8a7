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

    None if it has neither. `tokens` without a text among them mean something else, and are no
    names. Raises UserError if some of them are texts and others are not, or if two are the same.
    """
    names = _names(attribute_of(env, "tokens"))
    padding = attribute_of(env, "padding")
    return None if names is None and padding is None else Tokens(names, padding)


def tokenizer_of(env: Any) -> Any:
    """Return the attribute `tokenizer` of an environment or a wrapper: how texts become tokens.

    None if it has none, or if a wrapper around it changes observations.
    """
    layer = env
    while "tokenizer" not in vars(layer) and not hasattr(type(layer), "tokenizer"):
        if not isinstance(layer, gym.Wrapper) or isinstance(layer, gym.ObservationWrapper):
            return None
        layer = layer.env
    return layer.tokenizer


def vocabulary_of(space: gym.Space, tokens: Tokens | None) -> Vocabulary | None:
    """Return the vocabulary of a space of observations; None if they are no tokens.

    A MultiDiscrete of one size throughout is of tokens. A Box of integers may as well hold numbers:
    it is of tokens where the environment names them. Raises UserError for names or a padding that
    do not fit the space.
    """
    names, padding = tokens or (None, None)
    bounds = _bounds(space, names is not None)
    if bounds is None:
        return None
    low, high = bounds
    size = high - low + 1
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


def tokens_like(space: gym.Space, vocabulary: Vocabulary) -> Tokens | None:
    """Return what an environment of this vocabulary says of a space with the same tokens.

    Integers do not say themselves that they are tokens. None for a space with other bounds.
    """
    numbers = range(vocabulary.start, vocabulary.start + vocabulary.size)
    if _bounds(space, are_named=True) != (numbers[0], numbers[-1]):
        return None
    return Tokens(tuple(map(str, numbers)), vocabulary.padding)


def numbered(number: int, name: str) -> str:
    """Return a number of an action or of a token with its name, which may be a number as well."""
    is_number = name.strip("+-.,:").isdigit()
    return f'{number} "{name}"' if is_number or not name.strip() else f"{number} {name}"


def to_text(observation: np.ndarray, names: Sequence[str], start: int, padding: int | None) -> str:
    """Return tokens [T], numbers from `start` on, as their names with spaces between them.

    Names of one character each, as of a vocabulary of characters, stand side by side.
    """
    said = [names[number - start] for number in observation.tolist() if number != padding]
    are_characters = all(
        len(name) == 1 for number, name in enumerate(names, start) if number != padding
    )
    return ("" if are_characters else " ").join(said)


def _names(value: Any) -> tuple[str, ...] | None:
    """Return the names in an attribute `tokens`; None if it holds something else."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        return None
    are_texts = [isinstance(name, str) for name in value]
    if not any(are_texts):
        return None
    if not all(are_texts):
        other = value[are_texts.index(False)]
        raise UserError(
            f"The environment's attribute `tokens` names some tokens by texts, and another by"
            f" {describe_value(other)}. Give each number a text."
        )
    if len(set(value)) < len(value):
        twice = next(name for place, name in enumerate(value) if name in value[:place])
        raise UserError(
            f"The environment's attribute `tokens` has the name {twice!r} twice, so a text would"
            " not say which token it is. Give each number a name of its own."
        )
    return tuple(str(name) for name in value)


def written_tokens(names: Sequence[str], vocabulary: Vocabulary, actions: range) -> list[str]:
    """Return the names of the tokens that actions write, as far as their numbers tell.

    They do if every token but the padding has an action of its number; else there are no names.
    """
    tokens = range(vocabulary.start, vocabulary.start + vocabulary.size)
    without_padding = [token for token in tokens if token != vocabulary.padding]
    if list(actions) not in (list(tokens), without_padding):
        return []
    return [names[action - vocabulary.start] for action in actions]


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
