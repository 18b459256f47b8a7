"""The configuration of a run: all settings, checked, and the numbers that follow from them."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from dqn_tf.config import checks, kinds
from dqn_tf.config.language_checks import without_unread
from dqn_tf.config.notation import is_atari, show
from dqn_tf.config.settings import Settings
from dqn_tf.support.errors import UserError

LOGGED_BLOCK_UPDATES = 64  # at least so many in a block of updates on logged data alone
# settings that earlier versions had, with the value that means what is done now
FORMER_SETTINGS = {"precision": "float32"}


@dataclasses.dataclass(frozen=True)
class DQNConfig(Settings):
    """All that decides how a run learns and what it records.

    Raises UserError on a value out of range and on settings that contradict each other.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            try:
                value = kinds.cast(value, str(field.type))
            except TypeError as error:
                raise UserError(
                    f"--{field.name}={show(value)}: must be {kinds.describe(str(field.type))}."
                ) from error
            object.__setattr__(self, field.name, value)
        checks.require_valid(self)
        # a copy, as config.json gives it back: with lists for tuples
        object.__setattr__(self, "env_kwargs", json.loads(json.dumps(self.env_kwargs)))

    @property
    def protocol(self) -> str:
        """What a score can only be compared under, in words.

        It is empty where the environment's id says it all.
        """
        if not is_atari(self.env):
            return ""
        sticky = "no sticky actions"
        if self.sticky_actions:
            sticky = f"sticky actions {self.sticky_actions:g}"
        actions = "all 18" if self.full_action_space else "minimal"
        pictures = ""
        if self.screen_size != type(self).screen_size:
            pictures = f", pictures of {self.screen_size}x{self.screen_size}"
        return (
            f"frame skip {self.frame_skip}, up to {self.noop_max} no-ops, {sticky}, {actions}"
            f" actions, at most {self.max_frames:,} frames{pictures}"
        )

    @property
    def learns_behaviour(self) -> bool:
        """Whether the networks have a head that estimates the policy that made the logged data."""
        return (
            self.support > 0
            or self.q_weight > 0
            or self.pretrain_updates > 0
            or self.explore_with != "uniform"
            or (self.imitation > 0 and self.imitation_loss == "cross_entropy")
        )

    @property
    def exploration_support(self) -> float:
        """The share of the likeliest action below which exploration leaves an action out."""
        return self.explore_support or self.support

    @property
    def logged_updates(self) -> int:
        """Updates on logged data alone, which come before the first environment step."""
        return self.pretrain_updates + self.offline_updates

    @property
    def total_updates(self) -> int:
        """Updates of the whole run."""
        env_steps = max(0, self.total_steps - self.warmup_env_steps)
        return self.logged_updates + self.updates_for(env_steps)

    def updates_for(self, env_steps: float) -> int:
        """Return how many updates so many environment steps pay for."""
        # Rounded down but for a hair: 3 steps at 0.1 are 30 updates, though 3 // 0.1 is 29.
        return int(env_steps / self.env_steps_per_update + 1e-6)

    @property
    def length(self) -> int:
        """The whole run on its clock: updates on logged data, then environment steps."""
        return self.logged_updates + self.total_steps

    @property
    def target_update_period_updates(self) -> int:
        """The target's period on the learner's own clock."""
        return max(1, round(self.target_update_period_env_steps / self.env_steps_per_update))

    @property
    def shard_size(self) -> int:
        """Environments whose actions are computed in one multiplication.

        Of groups of 4 and of 8 the rows have the bits that they have in larger ones.
        """
        if self.shard_envs or not self.lag:
            return self.shard_envs or self.num_envs
        if self.num_envs >= 64 and self.num_envs % 8 == 0:
            return 8
        return 4 if self.num_envs % 4 == 0 else 1

    @property
    def shards(self) -> int:
        """The number of groups of environments."""
        return self.num_envs // self.shard_size

    @property
    def shard_ranges(self) -> list[range]:
        """The numbers of the environments of each group."""
        size = self.shard_size
        return [range(first, first + size) for first in range(0, self.num_envs, size)]

    @property
    def block_steps(self) -> int:
        """Steps of each environment that make a block: at most those of the whole run."""
        env_steps = min(self.updates_per_block * self.env_steps_per_update, self.total_steps)
        return max(1, math.ceil(env_steps / self.num_envs))

    @property
    def most_updates(self) -> int:
        """The largest number of updates that a block can have."""
        return math.ceil(self.block_steps * self.num_envs / self.env_steps_per_update)

    @property
    def most_logged_updates(self) -> int:
        """The largest number of updates on logged data alone that a block can have.

        No step waits for them, so that they are many at once.
        """
        return max(self.most_updates, LOGGED_BLOCK_UPDATES) if self.logged_updates else 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready copy, which `from_dict` reads back."""
        values = dataclasses.asdict(self)
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DQNConfig:
        """Return the configuration that `to_dict` gave.

        Raises UserError on a name that this version does not know, and on what is no dict.
        """
        if not isinstance(values, dict):
            raise UserError(f"A configuration has a name for each value, and {values!r} has none.")
        former = FORMER_SETTINGS.items()
        values = {name: value for name, value in values.items() if (name, value) not in former}
        values = without_unread(values)
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UserError(
                f"The configuration names {', '.join(unknown)}, which this version of dqn_tf does"
                " not know."
            )
        return cls(**values)


FIELDS = {field.name: field for field in dataclasses.fields(DQNConfig)}
FIXED_ON_RESUME = tuple(name for name, field in FIELDS.items() if field.metadata["fixed_on_resume"])
