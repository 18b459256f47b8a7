"""Updates of a large network: while one runs, a helper thread fetches the batch of the next.

Which rows make the batches of a block is drawn before its first update, here as everywhere; so the
thread, which only copies what was drawn, changes nothing of what is learned.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN, METRICS, Learned
from dqn_tf.experience.replay import UniformReplay

# updates of one call: one alone spends 4 % of its time on entering TensorFlow, and more keep more
# frames in memory
AT_ONCE = 4


class AheadLearner:
    """`learn` as of `DQN`, on rows of replay instead of batches. Owns the helper thread."""

    def __init__(self, agent: DQN, replay: UniformReplay, batch_size: int) -> None:
        self._agent, self._replay, self._batch_size = agent, replay, batch_size
        self._helper = ThreadPoolExecutor(1, "batches")

    def learn(self, most_updates: int, updates: int) -> Learned:
        """The first `updates` of `most_updates` batches drawn now; the same as
        `agent.learn(replay.sample(...), updates)`.
        """
        drawn = self._replay.draw(most_updates, self._batch_size)
        parts = [slice(start, start + AT_ONCE) for start in range(0, updates, AT_ONCE)]
        learned, counts = [], []
        fetched = self._fetch(drawn, parts[0])
        for number, part in enumerate(parts):
            batches = fetched.result()
            if number + 1 < len(parts):
                fetched = self._fetch(drawn, parts[number + 1])
            counts.append(min(part.stop, updates) - part.start)
            learned.append(self._agent.learn(batches, counts[-1]))
        return _joined(learned, counts)

    def close(self) -> None:
        """Ends the helper thread."""
        self._helper.shutdown()

    def _fetch(self, drawn: dict[str, np.ndarray], part: slice):
        return self._helper.submit(
            self._tensors, {name: column[part] for name, column in drawn.items()}
        )

    def _tensors(self, drawn: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
        return {name: tf.constant(column) for name, column in self._replay.take(drawn).items()}


def _joined(learned: list[Learned], counts: list[int]) -> Learned:
    metrics = {
        name: float(np.average([one.metrics[name] for one in learned], weights=counts))
        for name in METRICS
    }
    metrics["gradient_norm"] = max(one.metrics["gradient_norm"] for one in learned)
    errors = None if learned[0].error is None else np.concatenate([one.error for one in learned])
    return Learned(metrics, learned[-1].weights, errors)
