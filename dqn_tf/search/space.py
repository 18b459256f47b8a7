"""What a search tries: the settings that have a range, and how a trial's values become settings.

A range comes from the setting itself (`Searched`), or from the user (`narrowing.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Protocol

from dqn_tf.config import kinds
from dqn_tf.config.conditions import ALWAYS, AnyOf, Condition, describe_conditions, is_any_met
from dqn_tf.config.dqn_config import FIELDS, DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.config.searched import Searched
from dqn_tf.support.errors import UserError

DIGITS = 3  # of a number that is tried; a narrow range has more
Values = Mapping[str, Any]


class Suggests(Protocol):
    """What the space needs of an Optuna trial."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a number from low to high."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        """Return a whole number from low to high."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""


@dataclasses.dataclass(frozen=True)
class Dimension:
    """One setting that is searched: numbers from `low` to `high`, or `choices`, and when."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    when: AnyOf = ALWAYS

    @property
    def is_whole(self) -> bool:
        """Whether its numbers are whole."""
        return str(FIELDS[self.name].type).startswith("int")

    def is_tried(self, values: Values, undecided: Container[str] = ()) -> bool:
        """Tell whether the setting does something beside these values of all settings.

        Those that are `undecided` yet do not count: what contradicts them is decided with them.
        """
        return is_any_met(_without(self.when, undecided), values)

    def suggest(self, trial: Suggests) -> Any:
        """Return the trial's value of the setting, a number with DIGITS digits or more."""
        if self.choices:
            words = [_stored(choice) for choice in self.choices]
            chosen = trial.suggest_categorical(self.name, words)
            return self.choices[words.index(chosen)]
        if self.is_whole:
            return trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log)
        number = trial.suggest_float(self.name, self.low, self.high, log=self.log)
        size = max(abs(self.low), abs(self.high))
        more = int(math.log10(size / (self.high - self.low))) - 1  # of those that never change
        return min(self.high, max(self.low, float(f"{number:.{DIGITS + max(0, more)}g}")))

    def stored(self, value: Any) -> Any:
        """Return the setting's value as Optuna has it in a trial's parameters."""
        return _stored(value) if self.choices else value

    def __contains__(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        return value is not None and self.low <= value <= self.high

    def with_value(self, value: Any) -> Dimension:
        """Return the dimension, widened so that this value is in it, where it can be."""
        if value in self or (value is None and not self.choices):
            return self
        if self.choices:
            return dataclasses.replace(self, choices=(*self.choices, value))
        if self.log and value <= 0:
            return self
        low, high = min(self.low, value), max(self.high, value)
        return dataclasses.replace(self, low=low, high=high)

    def describe(self) -> str:
        """Return its range as it is typed after --range, without the setting."""
        if self.choices:
            words = [show(value) for value in self.choices]
            separator = "|" if any("," in word for word in words) else ","
            return separator.join(words)
        return f"{self.low:g}:{self.high:g}:{'log' if self.log else 'linear'}"


@dataclasses.dataclass(frozen=True)
class Space:
    """All dimensions, each after those that its `when` names, around the settings `base`."""

    base: DQNConfig
    network: str  # what --network=auto is here
    dimensions: tuple[Dimension, ...]

    def propose(self, trial: Suggests) -> dict[str, Any]:
        """Return a trial's values of the settings that are tried beside each other.

        A switch that would contradict another value is off, though the base may have it on.
        """
        values = self._base_values()
        proposed: dict[str, Any] = {}
        for dimension, undecided in self.in_turn():
            name = dimension.name
            if dimension.is_tried(values, undecided):
                values[name] = proposed[name] = dimension.suggest(trial)
            elif values[name] is True:
                values[name] = proposed[name] = False
        return proposed

    def base_parameters(self) -> dict[str, Any] | None:
        """Return the parameters of the trial that is `base`; None where a range leaves it out."""
        values = self._base_values()
        parameters = {}
        for dimension, undecided in self.in_turn():
            if dimension.is_tried(values, undecided):
                value = values[dimension.name]
                if value not in dimension:
                    return None
                parameters[dimension.name] = dimension.stored(value)
        return parameters

    def describe(self) -> dict[str, str]:
        """Return the range of each setting that may be tried, as it is typed."""
        return {dimension.name: dimension.describe() for dimension in self.dimensions}

    def in_turn(self) -> Iterator[tuple[Dimension, set[str]]]:
        """Give each dimension with the names of those after it."""
        undecided = {dimension.name for dimension in self.dimensions}
        for dimension in self.dimensions:
            undecided.discard(dimension.name)
            yield dimension, undecided

    def _base_values(self) -> dict[str, Any]:
        values = {name: getattr(self.base, name) for name in FIELDS}
        return values | {"network": self.network}


def make_space(
    base: DQNConfig, network: str, own: Mapping[str, Searched], fixed: Container[str] = ()
) -> Space:
    """Return the space around `base`.

    `own` are the user's ranges. Settings that the user has `fixed` are not tried; nor are those
    that do nothing whatever the others are. Raises UserError if one of these has a range of the
    user's.
    """
    dimensions = []
    for name, field in FIELDS.items():
        searched = own.get(name, field.metadata["search"])
        if searched is None or (name in fixed and name not in own):
            continue
        if not base.total_steps and _is_of_steps(name):
            if name in own:
                raise UserError(
                    f"--range={name}=…: it does nothing here, as no environment step is taken."
                    " Leave it out."
                )
            continue
        dimension = _dimension(name, searched, base)
        if name in own:
            dimension = dataclasses.replace(dimension, when=_without(dimension.when, (name,)))
        else:
            dimension = dimension.with_value(getattr(base, name))
        dimensions.append(dimension)
    space = Space(base, network, tuple(_ordered(dimensions)))
    reachable = _reachable(space)
    for dimension in dimensions:
        if dimension.name in own and dimension not in reachable:
            condition = describe_conditions(dimension.when).replace("`", "")
            raise UserError(
                f"--range={dimension.name}=…: it does nothing here; it is tried only where"
                f" {condition}. Leave it out, or give what it needs."
            )
    return dataclasses.replace(space, dimensions=tuple(reachable))


def typed_value(name: str, value: Any) -> Any:
    """Return a value of JSON or of a flag in the setting's own type. Raises TypeError."""
    return kinds.cast(value, str(FIELDS[name].type))


def when_tried(name: str) -> AnyOf:
    """Return beside which values of others a setting is tried."""
    read, searched = FIELDS[name].metadata["when"], FIELDS[name].metadata["search"]
    return tuple({**one, **searched.when} for one in read) if searched else read


def _without(conditions: AnyOf, names: Container[str]) -> AnyOf:
    """Return the conditions without what they say of these settings."""
    return tuple(
        {name: allowed for name, allowed in one.items() if name not in names} for one in conditions
    )


def _is_of_steps(name: str) -> bool:
    """Tell whether a setting does nothing where no environment step is taken."""
    searched = FIELDS[name].metadata["search"]
    return searched is not None and (searched.of_run or searched.of_steps)


def _stored(value: Any) -> Any:
    # Optuna stores no lists
    return show(value) if isinstance(value, tuple) else value


def _dimension(name: str, searched: Searched, base: DQNConfig) -> Dimension:
    low, high = searched.low, searched.high
    if searched.of_run:
        low, high = (max(1, round(share * base.total_steps)) for share in (low, high))
    return Dimension(name, low, high, searched.log, searched.choices, when_tried(name))


def _ordered(dimensions: list[Dimension]) -> list[Dimension]:
    """Put each dimension behind those that it depends on; of a circle, the first comes first."""
    left, ordered = list(dimensions), []
    while left:
        names = {dimension.name for dimension in left}
        ready = [one for one in left if not (names - {one.name}) & _named(one.when)]
        ordered.append((ready or left)[0])
        left.remove(ordered[-1])
    return ordered


def _reachable(space: Space) -> list[Dimension]:
    """Return the dimensions that are tried beside some values of the others."""
    possible: dict[str, Any] = {name: [value] for name, value in space._base_values().items()}
    kept = []
    for dimension, undecided in space.in_turn():
        conditions = _without(dimension.when, undecided)
        if any(_is_possible(condition, possible) for condition in conditions):
            kept.append(dimension)
            # of a range its ends and what it holds now stand for all others
            ends = dimension.choices or (dimension.low, dimension.high)
            possible[dimension.name] = [*possible[dimension.name], *ends]
    return kept


def _is_possible(condition: Condition, possible: Mapping[str, Sequence[Any]]) -> bool:
    return all(
        any(value in allowed for value in possible[name]) for name, allowed in condition.items()
    )


def _named(conditions: AnyOf) -> set[str]:
    return {name for condition in conditions for name in condition}
