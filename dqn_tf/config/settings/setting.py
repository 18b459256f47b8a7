"""A setting: a field of the configuration with all that is told of it."""

import dataclasses
from typing import Any

from dqn_tf.config.conditions import ALWAYS, AnyOf, Condition
from dqn_tf.config.ranges import Allowed
from dqn_tf.config.searched import Searched

NATURE = "Mnih et al. 2015"

# the groups of the help page
RUN = "Run"
NETWORK = "Network"
LANGUAGE = "A pretrained language model"
LEARNING = "Learning"
IMPROVEMENTS = "Improvements of DQN, each alone or together"
DATA = "Experience"
EXPLORATION = "Exploration"
WORKERS = "Collecting while learning, and in other processes"
LOGGED = "Logged data"
RECORDS = "Evaluation and records"
ATARI = "Atari games (ALE/...): the protocol, which is part of what a score means"


def setting(
    default: Any,
    group: str,
    text: str,
    allowed: Allowed | None = None,
    *,
    unit: str = "",
    source: str = "",
    fixed_on_resume: bool = False,
    when: Condition | AnyOf = ALWAYS,
    search: Searched | None = None,
) -> Any:
    """Return a dataclass field with all that is told of a setting as its metadata.

    `fixed_on_resume` marks what a checkpoint's networks, optimizer and running episodes depend on.
    A resumed run cannot change it. The setting is read only beside the values of others that `when`
    names, a condition or several. `search` is what `dqn_tf.search` tries; None is left as it is.
    """
    metadata = {
        "group": group,
        "help": text,
        "allowed": allowed,
        "unit": unit,
        "source": source,
        "fixed_on_resume": fixed_on_resume,
        "when": when if isinstance(when, tuple) else (when,),
        "search": search,
    }
    if isinstance(default, dict):
        # no part of the hash: a dict has none
        return dataclasses.field(
            default_factory=lambda: dict(default), hash=False, metadata=metadata
        )
    return dataclasses.field(default=default, metadata=metadata)
