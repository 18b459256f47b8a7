"""What values a setting can take, as values that a search over settings can read.

Each of them answers `value in allowed`, and `str(allowed)` completes the sentence "must be ...".
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from dqn_tf.config.notation import is_import_name

# float32's, in which networks compute: a smaller one is 0 there, and a larger one infinite
SMALLEST, LARGEST = 2.0**-126, (2.0 - 2.0**-23) * 2.0**127


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, or above `above`; what is None bounds nothing.

    None of them becomes 0 or infinite in float32. `log` says that values differ by their ratio, so
    that a search draws their logarithms.
    """

    low: float | None = None
    high: float | None = None
    above: float | None = None
    log: bool = False

    def __contains__(self, value: float) -> bool:
        return (
            abs(value) <= LARGEST  # False for NaN
            and (value == 0 or abs(value) >= SMALLEST)
            and (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
        )

    def __str__(self) -> str:
        if self.above is not None:
            return f"a number above {self.above} that float32 holds"
        if self.low is not None and self.high is not None:
            return f"from {self.low} to {self.high}"
        if self.low is not None:
            return f"at least {self.low}"
        if self.high is not None:
            return f"a finite number, at most {self.high}"
        return "a finite number"


class Choice:
    """One of `names` or, where `own` gives an example of a name, a part of the user's own."""

    def __init__(self, *names: str, own: str = "") -> None:
        self.names = names
        self.own = own

    def __contains__(self, value: str) -> bool:
        return value in self.names or (bool(self.own) and is_import_name(value))

    def __str__(self) -> str:
        names = ", ".join(self.names)
        return f"{names} or my_module:{self.own}" if self.own else f"one of {names}"


@dataclasses.dataclass(frozen=True)
class Format:
    """Values that `accepts` accepts, described by `text`."""

    text: str
    accepts: Callable[[Any], bool]

    def __contains__(self, value: Any) -> bool:
        return self.accepts(value)

    def __str__(self) -> str:
        return self.text


Allowed = Range | Choice | Format
