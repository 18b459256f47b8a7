"""Logged data: where they lie, and how not to be fooled by what they never tried."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.conditions import GIVEN, POSITIVE
from dqn_tf.config.ranges import Choice, Range
from dqn_tf.config.searched import Searched
from dqn_tf.config.settings.setting import LOGGED, setting


@dataclasses.dataclass(frozen=True)
class LoggedDataSettings:
    """Logged data: where they lie, and how not to be fooled by what they never tried."""

    data: tuple[str, ...] = setting(
        (),
        LOGGED,
        "episodes to learn from that were logged before: an npz or CSV file or a directory of them,"
        " or minari:ID; env is what the environment has of its own. May be given several times."
        " FILE@0.3 gives its rows 30 % of the logged part of each batch. Empty, it leaves out"
        " a preset's data and what would be learned from them",
        fixed_on_resume=True,
    )
    pretrain_updates: int = setting(
        0,
        LOGGED,
        "updates that learn to act as was logged, and nothing else, before all others: of tokens,"
        " those that make a language model",
        Range(low=0),
        unit="updates",
        fixed_on_resume=True,
    )
    offline_updates: int = setting(
        0,
        LOGGED,
        "updates on the logged data before the first environment step",
        Range(low=0),
        unit="updates",
    )
    data_share: float = setting(
        0.5,
        LOGGED,
        "share of each batch that comes from the logged data once the run takes steps",
        Range(0.0, 1.0),
        source="Ball et al. 2023",
        fixed_on_resume=True,
        when={"data": GIVEN, "total_steps": POSITIVE},
    )
    cql_alpha: float = setting(
        0.0,
        LOGGED,
        "weight of conservative Q-learning: Q-values of actions that were not logged are pushed"
        " down; 0 leaves it out",
        Range(low=0.0),
        source="Kumar et al. 2020",
        fixed_on_resume=True,
        search=Searched(0.01, 10.0, log=True, when={"cql_alpha": POSITIVE}),
    )
    support: float = setting(
        0.0,
        LOGGED,
        "actions that the logged behaviour takes less often than this share of its likeliest are"
        " left out when acting and in the target; 0 leaves none out",
        Range(0.0, 1.0),
        source="Fujimoto et al. 2019",
        fixed_on_resume=True,
        search=Searched(0.01, 0.5, log=True, when={"support": POSITIVE}),
    )
    explore_with: str = setting(
        "uniform",
        LOGGED,
        "exploration draws its actions uniformly, from the behaviour that was learned from the"
        " logged data, or uniformly from what --explore_support leaves of it",
        Choice("uniform", "behaviour", "support"),
        when={"noisy": (False,)},
    )
    explore_support: float = setting(
        0.0,
        LOGGED,
        "--explore_with=support leaves out what the logged behaviour takes less often than this"
        " share of its likeliest; 0 takes the share of --support",
        Range(0.0, 1.0),
        when={"noisy": (False,), "explore_with": ("support",)},
    )
    q_weight: float = setting(
        0.0,
        LOGGED,
        "acting takes the largest sum of the behaviour's log-probability and so many times the"
        " Q-value; 0 takes the largest Q-value",
        Range(low=0.0),
        source="Snell et al. 2023",
        fixed_on_resume=True,
    )
    imitation: float = setting(
        0.0,
        LOGGED,
        "weight of a loss that imitates the logged actions; 0 leaves it out",
        Range(low=0.0),
        fixed_on_resume=True,
        search=Searched(0.01, 1.0, log=True, when={"imitation": POSITIVE}),
    )
    imitation_loss: str = setting(
        "cross_entropy",
        LOGGED,
        "cross_entropy of a behaviour head, or margin: the logged action's Q-value is to be above"
        " all others by --imitation_margin",
        Choice("cross_entropy", "margin"),
        source="Hester et al. 2018",
        fixed_on_resume=True,
        when={"imitation": POSITIVE},
    )
    imitation_margin: float = setting(
        0.8,
        LOGGED,
        "by how much the logged action's Q-value is to be above all others",
        Range(low=0.0),
        source="Hester et al. 2018",
        fixed_on_resume=True,
        when={"imitation": POSITIVE, "imitation_loss": ("margin",)},
        search=Searched(0.1, 2.0, log=True),
    )
