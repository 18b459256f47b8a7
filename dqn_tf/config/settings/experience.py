"""What a run learns from, and how it explores."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.notation import epsilon_points, memory_bytes
from dqn_tf.config.ranges import Choice, Format, Range
from dqn_tf.config.searched import Searched
from dqn_tf.config.settings.setting import DATA, EXPLORATION, NATURE, setting

EPISODE = "episode"  # of --replay_unit
RESERVOIR = "reservoir"  # of --replay_eviction
FALLS = ("linear", "exponential")  # of epsilon, from a start to an end
OF_A_FALL = {"noisy": (False,), "epsilon_schedule": FALLS}


@dataclasses.dataclass(frozen=True)
class ExperienceSettings:
    """What a run learns from, and how it explores."""

    replay_unit: str = setting(
        "transition",
        DATA,
        "what the replay keeps, draws and counts: transition, or episode, where an observation is"
        " the beginning of the next one, as of a text that is being written: one pass of the"
        " network over an episode then gives Q at each of its steps",
        Choice("transition", EPISODE),
        fixed_on_resume=True,
    )
    replay_capacity: int = setting(
        100_000,
        DATA,
        "transitions kept, or episodes with --replay_unit=episode",
        Range(low=1, log=True),
        unit="transitions",
        when={"replay_memory": (None,)},
        search=Searched(0.1, 1.0, log=True, of_run=True),
    )
    replay_eviction: str = setting(
        "fifo",
        DATA,
        "what gives way where the replay is full: fifo, the oldest, so that it holds the newest; or"
        " reservoir, a random one, so that it holds a uniform sample of all since the start, and"
        " what was learned first stays",
        Choice("fifo", RESERVOIR),
        source="Vitter 1985, algorithm R",
        fixed_on_resume=True,
    )
    replay_memory: str | None = setting(
        None,
        DATA,
        "instead of --replay_capacity: as many transitions (or episodes) as fit into so much"
        " memory, such as 2GiB",
        Format("a size such as 2GiB, 500MiB or 800KiB", lambda value: memory_bytes(value) > 0),
    )
    warmup_env_steps: int = setting(
        1_000,
        DATA,
        "steps before the first update; with --replay_unit=episode it also waits for the first"
        " whole episode",
        Range(low=0),
        unit="environment steps",
    )
    env_steps_per_update: float = setting(
        2.0,
        DATA,
        "environment steps per update",
        Range(1e-3, 1e6),
        unit="environment steps",
        search=Searched(choices=(1.0, 2.0, 4.0, 8.0)),
    )
    collector: str = setting(
        "local",
        DATA,
        "takes the host engine's environment steps: local steps Gymnasium's environments in"
        " this process; my_module:MyCollector is one of your own",
        Choice("local", own="MyCollector"),
        fixed_on_resume=True,
    )
    updates_per_block: int = setting(
        16,
        DATA,
        "updates of a block. The host engine does them in one compiled call after the block's"
        " steps, and 1 is the textbook loop; the graph engine does each after its own steps",
        Range(1, 10_000),
        unit="updates",
    )
    epsilon_start: float = setting(
        1.0,
        EXPLORATION,
        "probability of a random action at the first step",
        Range(0.0, 1.0),
        source=NATURE,
        when=OF_A_FALL,
    )
    epsilon_end: float = setting(
        0.05,
        EXPLORATION,
        "probability of a random action once decayed",
        Range(0.0, 1.0),
        when=OF_A_FALL,
        search=Searched(0.01, 0.2, log=True, of_steps=True),
    )
    epsilon_decay_env_steps: int = setting(
        10_000,
        EXPLORATION,
        "steps over which epsilon falls",
        Range(low=0),
        unit="environment steps",
        when=OF_A_FALL,
        search=Searched(0.02, 0.5, log=True, of_run=True),
    )
    epsilon_schedule: str = setting(
        "linear",
        EXPLORATION,
        "how epsilon falls: linear, exponential, or points step:epsilon,step:epsilon,... with"
        " straight lines between",
        Format(
            "linear, exponential, or points with rising steps such as 0:1,10000:0.1,50000:0.01",
            lambda value: value in FALLS or bool(epsilon_points(value)),
        ),
        when={"noisy": (False,)},
    )
