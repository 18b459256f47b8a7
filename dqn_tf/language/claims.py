"""What a model's file says of the model. Each value is checked before it is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dqn_tf.language.packages import refuse
from dqn_tf.support.errors import UserError, describe_value

MOST = 2**24  # of a size: far above any model's, and no array of so many numbers fills the memory
UNREAD = "models with it are not read"


class Claims:
    """The values that one file says, by name.

    Attributes:
      model: what `--language_model` says.
      place: what says the values, as a sentence begins with it, such as config.json.
    """

    def __init__(self, model: str, place: str, find: Callable[[str], Any]) -> None:
        self.model = model
        self.place = place
        self.find = find  # returns None for a name that is not said

    def value(self, name: str, default: Any = None) -> Any:
        """Return a value, or the default where it is not said. Raises UserError without either."""
        value = self.find(name)
        if value is None:
            value = default
        if value is None:
            raise refuse(
                self.model, f"{self.place} does not say {name}, which a whole model's file does."
            )
        return value

    def count(self, name: str, default: int | None = None) -> int:
        """Return a whole number from 1 to MOST. Raises UserError if it is none."""
        value = self.value(name, default)
        if type(value) is not int or not 1 <= value <= MOST:
            raise self.wrong(name, f"it must be a whole number from 1 to {MOST:,}", value)
        return value

    def part(self, name: str, whole: str) -> int:
        """Return `count` of a name that must not be above that of another. Raises UserError."""
        value, most = self.count(name), self.count(whole)
        if value > most:
            raise self.wrong(name, f"it must be at most {whole}, {most:,}")
        return value

    def real(self, name: str, default: float | None = None) -> float:
        """Return a number above 0 that float32 can hold. Raises UserError if it is none."""
        value = self.value(name, default)
        if not _is_above_zero(value):
            raise self.wrong(name, "it must be a finite number above 0", value)
        return float(value)

    def is_true(self, name: str) -> bool:
        """Return a value that is true or false; False where it is not said. Raises UserError."""
        value = self.value(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, "it must be true or false")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts. Raises UserError if it is none."""
        value = self.value(name)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.wrong(name, "it must be a list of texts")
        return value

    def require_plain(self, plain: Mapping[str, tuple[Any, ...]]) -> None:
        """Raise UserError if a value is said that is none of those that `plain` has for its name.

        These are what a model of the family may have, and the blocks here have not.
        """
        for name, allowed in plain.items():
            value = self.find(name)
            if value is not None and value not in allowed:
                raise self.wrong(name, f"only {allowed[0]!r} is read" if allowed else UNREAD)

    def wrong(self, name: str, right: str, value: Any = None) -> UserError:
        """Return the error for a value: what is said, and what would be right."""
        shown = describe_value(self.find(name) if value is None else value)
        return refuse(self.model, f"{self.place} says {name}={shown}, and {right}.")


def _is_above_zero(value: Any) -> bool:
    """Return whether a value is a number above 0, also in float32."""
    if type(value) not in (int, float):
        return False
    try:
        with np.errstate(over="ignore"):
            return bool(0.0 < np.float32(value) < np.inf)
    except OverflowError:  # a whole number that no float can hold
        return False
