"""The metrics of updates: by name, each with how it is reduced over a block."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

MEAN = "mean"
MAX = "max"  # so that one bad update shows

# An auxiliary loss adds its own name, reduced by MEAN.
UPDATE_METRICS = {"loss": MEAN, "q_selected": MEAN, "gradient_norm": MAX}
# of an update on the behaviour head alone
IMITATION_METRICS = {"loss": MEAN, "gradient_norm": MAX}


class BlockMetrics:
    """Reduces the metrics of the updates in a block, inside a graph and outside of one.

    Inside, they are one tensor [metrics, num_agents], in the order of `reductions`.
    """

    def __init__(self, reductions: Mapping[str, str], num_agents: int) -> None:
        self.reductions = dict(reductions)
        self.num_agents = num_agents

    def start(self) -> tf.Tensor:
        """Return what a block without updates has: zeros [metrics, num_agents]."""
        return tf.zeros((len(self.reductions), self.num_agents))

    def add(self, gathered: tf.Tensor, metrics: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return `gathered` with one more update's metrics, each [num_agents]."""
        rows = []
        for row, (name, reduction) in enumerate(self.reductions.items()):
            if reduction == MAX:
                rows.append(tf.maximum(gathered[row], metrics[name]))
            else:
                rows.append(gathered[row] + metrics[name])
        return tf.stack(rows)

    def reduce(self, gathered: tf.Tensor, updates: tf.Tensor) -> tf.Tensor:
        """Return what was gathered over `updates` updates, its sums divided by their number."""
        count = tf.cast(tf.maximum(updates, 1), tf.float32)
        rows = []
        for row, reduction in enumerate(self.reductions.values()):
            rows.append(gathered[row] if reduction == MAX else gathered[row] / count)
        return tf.stack(rows)

    def by_name(self, reduced: np.ndarray) -> list[dict[str, float]]:
        """Return what `reduce` returned, as one dict for each agent."""
        return [dict(zip(self.reductions, column, strict=True)) for column in reduced.T.tolist()]

    def join(self, parts: Sequence[Mapping[str, float]], counts: Sequence[int]) -> dict[str, float]:
        """Return the metrics of several calls, which did `counts` updates each, as those of one."""
        joined = {}
        for name, reduction in self.reductions.items():
            values = [part[name] for part in parts]
            if reduction == MAX:
                joined[name] = float(np.max(values))  # unlike max, NaN if one is
            else:
                joined[name] = float(np.average(values, weights=counts))
        return joined
