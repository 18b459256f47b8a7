"""What a search tries of a setting: a part of what is allowed, where something good may lie."""

from __future__ import annotations

import dataclasses
from typing import Any

from dqn_tf.config.conditions import Condition


@dataclasses.dataclass(frozen=True)
class Searched:
    """The numbers from `low` to `high`, or `choices`.

    Attributes:
      log: whether numbers are drawn by their ratio, not by their difference.
      of_run: whether `low` and `high` are shares of `total_steps`.
      of_steps: whether it does nothing where no environment step is taken; `of_run` says so, too.
      when: the setting is tried only where other settings, by name, have one of these values, as
        it would contradict others or have no effect; this comes on top of the setting's own `when`.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Any, ...] = ()
    of_run: bool = False
    of_steps: bool = False
    when: Condition = dataclasses.field(default_factory=dict)
