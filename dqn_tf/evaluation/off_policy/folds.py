"""Episodes in parts: what is asked about one part is fitted to the others."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dqn_tf.evaluation.off_policy.steps import LoggedSteps

FOLDS = 5
CHUNK = 16_384  # rows whose features are in memory together, or one episode's


def fold_of(episodes: int) -> np.ndarray:
    """Return the part that each episode belongs to, [E]: they take turns."""
    return np.arange(episodes) % min(FOLDS, max(episodes, 1))


class Chunk(NamedTuple):
    """Whole episodes that follow each other, and their rows."""

    episodes: slice
    rows: slice


def chunks(steps: LoggedSteps) -> Iterator[Chunk]:
    """Divide the episodes into chunks of about CHUNK rows."""
    first = 0
    while first < steps.count:
        most = steps.starts[first] + CHUNK
        after = max(first + 1, int(np.searchsorted(steps.starts, most, side="right")) - 1)
        yield Chunk(slice(first, after), slice(int(steps.starts[first]), int(steps.starts[after])))
        first = after
