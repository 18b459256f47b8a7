"""The runs of one environment as numbers: mean scores, and steps to the threshold."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.offline.records import Row
from benchmarks.scores.statistics import Estimate
from dqn_tf.evaluation.statistics import bootstrap


class Score(NamedTuple):
    """The mean score of a method's runs on one data set, and what a run cost."""

    runs: int
    mean: Estimate
    cpu_seconds: float  # median


class Steps(NamedTuple):
    """Environment steps to the threshold, of runs of which some may never have reached it.

    Those count as `most`, the length of the longest: the median is then too small, if anything.
    """

    runs: int
    reached: int
    most: int
    median: Estimate

    def show(self) -> str:
        """Format as `median [low, high]`, with > at what is a lower bound alone."""
        value, low, high = (self._number(number) for number in self.median)
        return f"{value} [{low}, {high}]"

    def share_of(self, other: "Steps") -> str:
        """Format the ratio of the medians, with ≤ where the other one is a lower bound alone."""
        share = self.median.value / other.median.value
        return f"{'≤ ' if other._is_bound(other.median.value) else ''}{share:.2f}"

    def _number(self, number: float) -> str:
        return f"{'> ' if self._is_bound(number) else ''}{number:,.0f}"

    def _is_bound(self, number: float) -> bool:
        return self.reached < self.runs and number >= self.most


def newest(rows: Sequence[Row], hashes: Callable[[Row], str]) -> list[Row]:
    """Select the runs of today's settings, by `hashes`; of the same run done twice, the later."""
    found = {}
    for row in rows:
        if row.config_hash == hashes(row):
            found[row.method, row.data_set, row.seed] = row
    return list(found.values())


def score(rows: Sequence[Row]) -> Score:
    """Average the scores of at least one run."""
    scores = np.array([row.score for row in rows], np.float64)
    mean = Estimate(float(scores.mean()), *bootstrap(scores, np.mean))
    return Score(len(rows), mean, float(np.median([row.cpu_seconds for row in rows])))


def steps(runs: Sequence[tuple[int | None, int]]) -> Steps:
    """Take the median of the steps to the threshold, of at least one run.

    Each run is the steps at which it reached the threshold, None if it did not, and its length.
    """
    most = max(length for _, length in runs)
    reached = [steps for steps, _ in runs if steps is not None]
    values = np.array(reached + [most] * (len(runs) - len(reached)), np.float64)
    median = Estimate(float(np.median(values)), *bootstrap(values, np.median))
    return Steps(len(runs), len(reached), most, median)
