"""A validated search: what is tried, on which seeds, and whether a trial's settings can be run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.agent.networks import choice
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import memory_plan
from dqn_tf.search.flags import SearchFlags, base_config
from dqn_tf.search.space import Space, make_space
from dqn_tf.support import files
from dqn_tf.support.errors import UserError

BEST = 3  # settings that are tested
DEFAULTS = DQNConfig().to_dict()
# of the test or of what a run exports, which belong to no trial, and of one machine alone
NOT_OF_TRIALS = ("test_episodes", "test_epsilon", "finalists", "ray_address", "worker_timeout")
TOGETHER = 2  # seeds of the graph engine before the first look at whether a trial is worth more


class SearchPlan(NamedTuple):
    """What is tried, and on which seeds.

    Attributes:
      seeds, test_seeds: of the runs. None is in both: they have other remainders modulo 4.
      engine: of all runs, where the user has chosen one; else the graph engine where it can.
    """

    flags: SearchFlags
    space: Space
    spaces: Spaces
    engine: str | None
    seeds: tuple[int, ...]
    test_seeds: tuple[int, ...]
    study: str
    output_dir: Path

    @property
    def base(self) -> DQNConfig:
        """The settings that the search begins with."""
        return self.space.base

    def config(self, proposed: Mapping[str, Any]) -> DQNConfig:
        """Return a trial's settings, without a seed. Raises UserError where they cannot be run.

        Whether they fit into the memory of this machine is not among it: see `require_memory`.
        """
        config = dataclasses.replace(self.base, **proposed)
        if self.engine is None and config.env in registry.NATIVE:
            config = _on_graph(config)
        choice.require_fit(config.network, self.spaces)
        config = memory_plan.with_capacity(config, self.spaces)
        self._require_affordable(config)
        return config

    def require_memory(self, config: DQNConfig) -> None:
        """Raise UserError if runs of a trial, or of its test, do not fit into free memory."""
        parts = (*groups(config, self.seeds), *test_groups(config, self.test_seeds))
        together = max(map(len, parts))
        parameters = choice.parameters(config, self.spaces)
        memory_plan.require_memory(config, self.spaces, together, parameters)

    def work(self, config: DQNConfig) -> int:
        """Return about how many multiplications the updates of a run need, but for a factor.

        The factor is the same for all trials; 0 with a torso of the user's own.
        """
        weights = choice.parameters(config, self.spaces) * (2 if config.noisy else 1)
        return config.total_updates * config.batch_size * weights

    def _require_affordable(self, config: DQNConfig) -> None:
        """Raise UserError if a run takes more work than the user allows."""
        most, at_first = self.flags.most_work, self.work(self.base)
        times = self.work(config) / at_first if at_first else 0.0
        if most and times > most:
            raise UserError(
                f"its updates take {times:.1f} times the work of those that the search begins with,"
                f" and --most_work={most:g}."
            )

    def protocol(self) -> dict[str, Any]:
        """Return what all trials of a study share, for JSON."""
        settings = self.base.to_dict()
        for name in NOT_OF_TRIALS:
            settings.pop(name)
        return {
            "env": settings.pop("env"),
            "settings": settings,
            "ranges": self.space.describe(),
            "seeds": list(self.seeds),
            "engine": self.engine,
            "prune_p": self.flags.prune_p,
            "most_work": self.flags.most_work,
        }


def prepare(flags: SearchFlags) -> SearchPlan:
    """Check all that can be checked before TensorFlow is loaded. Raises UserError."""
    base = base_config(flags)
    if base.engine == "graph":
        registry.require_native(base.env)
    spaces = registry.spaces(base)
    network = choice.resolved(base, spaces)
    space = make_space(base, network, flags.own, flags.overrides)
    if not space.dimensions:
        raise UserError("Nothing is left to be searched: give a --range, or fewer other flags.")
    study = flags.study or registry.directory_name(base.env)
    plan = SearchPlan(
        flags,
        space,
        spaces,
        flags.overrides.get("engine"),
        tuple(seeding.episode_seeds(flags.seed, seeding.SELECTION, flags.seeds)),
        tuple(seeding.episode_seeds(flags.seed, seeding.TEST, flags.test_seeds)),
        study,
        Path(flags.output_dir or Path("searches") / study),
    )
    plan.require_memory(plan.config({}))
    files.require_directory("output_dir", plan.output_dir)
    return plan


def test_groups(config: DQNConfig, seeds: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the seeds of the test in the groups that are trained together."""
    return [tuple(seeds)] if config.engine == "graph" else [(seed,) for seed in seeds]


def groups(config: DQNConfig, seeds: Sequence[int]) -> list[list[int]]:
    """Return the seeds in the groups that are trained together, in this order.

    A host engine trains one after the other. The graph engine trains the first two together, so
    that what is bad can stop there, and then the rest.
    """
    if config.engine == "host":
        return [[seed] for seed in seeds]
    parts = [list(seeds[:TOGETHER]), list(seeds[TOGETHER:])]
    return [part for part in parts if part]


def difference(stored: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Say in words what tells the protocol of a study from one's own; empty if nothing does."""
    if stored["env"] != own["env"]:
        return f"it is of --env={stored['env']}, and here --env is {own['env']}"
    for kind in ("settings", "ranges"):
        before, now = dict(stored[kind]), own[kind]
        if kind == "settings":  # a setting that came later had no other value
            before = {name: value for name, value in before.items() if name not in NOT_OF_TRIALS}
            before = {name: value for name, value in DEFAULTS.items() if name in now} | before
        for name in sorted(before.keys() | now.keys()):
            if before.get(name) != now.get(name):
                flag = f"--{name}" if kind == "settings" else f"the range of --{name}"
                return f"{flag} is {_shown(before, name)} there, and {_shown(now, name)} here"
    if stored["seeds"] != own["seeds"]:
        there, here = stored["seeds"], own["seeds"]
        return (
            f"its trials have {len(there)} seeds, the first {there[0]}, and here --seeds and --seed"
            f" make {len(here)}, the first {here[0]}"
        )
    stored = {"most_work": 0.0, **stored}  # of a study that was begun before there was a limit
    for name in ("engine", "prune_p", "most_work"):
        if stored[name] != own[name]:
            return f"--{name} is {_shown(stored, name)} there, and {_shown(own, name)} here"
    return ""


def _shown(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return "not given"
    return show(tuple(value) if isinstance(value, list) else value)


def _on_graph(config: DQNConfig) -> DQNConfig:
    """Return the settings with the graph engine, where it can run them."""
    try:
        return dataclasses.replace(config, engine="graph")
    except UserError:
        return config
