"""What is run, and for how long."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses
from typing import Any

from dqn_tf.config.notation import import_names, is_json_object
from dqn_tf.config.ranges import Choice, Format, Range
from dqn_tf.config.settings.setting import RUN, setting

MOST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """What is run, and for how long."""

    env: str = setting(
        "CartPole-v1",
        RUN,
        "Gymnasium id of the environment; my_module:MyEnv-v0 imports my_module first",
        Format("a Gymnasium id such as CartPole-v1", lambda value: bool(value.strip())),
        fixed_on_resume=True,
    )
    env_kwargs: dict[str, Any] = setting(  # noqa: RUF009 (each has a dict of its own)
        {},
        RUN,
        "arguments of the environment for gymnasium.make, as a JSON object",
        Format(
            'a JSON object of arguments such as {"continuous": false}',
            is_json_object,
        ),
        fixed_on_resume=True,
    )
    env_wrappers: str = setting(
        "",
        RUN,
        "wrappers put around each environment, the first one innermost, such as"
        " gymnasium.wrappers:FlattenObservation; my_module:my_wrapper is one of your own",
        Format(
            "empty, or names such as gymnasium.wrappers:FlattenObservation,my_module:MyWrapper",
            lambda value: not value or bool(import_names(value)),
        ),
        fixed_on_resume=True,
    )
    initial_weights: str = setting(
        "",
        RUN,
        "a run directory or an export whose network this one begins with, in place of weights drawn"
        " by the seed; nothing else is taken from there",
        fixed_on_resume=True,
    )
    initial_replay: str = setting(
        "",
        RUN,
        "a run directory whose replay this one begins with; with --replay_eviction=reservoir it is"
        " then a uniform sample of what both runs have seen, so that an earlier task is rehearsed",
        fixed_on_resume=True,
    )
    seed: int | None = setting(
        None,
        RUN,
        "seed of every random number of the run; drawn and logged if not given",
        Range(0, MOST_SEED),
        fixed_on_resume=True,
    )
    total_steps: int = setting(
        100_000, RUN, "length of the run", Range(low=0), unit="environment steps"
    )
    num_envs: int = setting(
        1, RUN, "environments stepped together", Range(low=1), fixed_on_resume=True
    )
    engine: str = setting(
        "host",
        RUN,
        "host steps Gymnasium's environments; graph is one compiled program with environments"
        " of its own, for CartPole-v1, Acrobot-v1, MountainCar-v0 and dqn_tf/GridWorld-v0",
        Choice("host", "graph"),
        fixed_on_resume=True,
    )
