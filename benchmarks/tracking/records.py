"""The record of the runs: a row for each, with and without a follower beside it."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.statistics import bootstrap
from dqn_tf.tracking.beside import DELAY_SECONDS

FILE = "runs.csv"

# what a run does while its blocks go on; not loading, compiling, the final test and the export
PARTS = ("collect", "learn", "record", "checkpoint")

ALONE, FOLLOWED = KINDS = ("alone", "followed")


class Row(NamedTuple):
    """One run of train.py."""

    date: str
    machine: str
    to: str  # the tracker
    cores: int  # that training and follower share
    env: str
    total_steps: int
    pair: int
    kind: str  # ALONE or FOLLOWED
    env_steps: int
    seconds: float  # of PARTS
    sent: str  # the last line of a run that was followed
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str

    @property
    def is_long(self) -> bool:
        """Whether its follower was at work for half of it or more."""
        return self.seconds >= 2 * DELAY_SECONDS

    @property
    def work(self) -> tuple[str, int, str, int]:
        """What is done in all pairs that are compared with each other."""
        return self.to, self.cores, self.env, self.total_steps


class Cost(NamedTuple):
    """What following costs, over pairs."""

    pairs: int
    plain: float  # steps per second, median
    followed: float
    ratio: float  # followed to plain, median of the pairs
    low: float  # 95 % bootstrap interval of that median
    high: float


def cost(rows: Sequence[Row]) -> Cost:
    """Compare the runs of each whole pair."""
    speeds: dict[int, dict[str, float]] = {}
    for row in rows:
        speeds.setdefault(row.pair, {})[row.kind] = row.env_steps / row.seconds
    pairs = [pair for pair in speeds.values() if len(pair) == 2]
    ratios = np.array([pair[FOLLOWED] / pair[ALONE] for pair in pairs])
    return Cost(
        len(pairs),
        statistics.median(pair[ALONE] for pair in pairs),
        statistics.median(pair[FOLLOWED] for pair in pairs),
        float(np.median(ratios)),
        *bootstrap(ratios, np.median),
    )
