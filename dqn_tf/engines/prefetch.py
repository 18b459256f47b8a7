"""Updates of a large network: while one runs, a helper thread fetches the batch of the next.

Which rows make the batches of a block is drawn before its first update, here as everywhere. The
thread only copies what was drawn, so it changes nothing of what is learned.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.program import Learned
from dqn_tf.agent.update_metrics import BlockMetrics
from dqn_tf.experience.mixed_replay import MixedReplay
from dqn_tf.experience.replay import UniformReplay

# Updates in one call: one alone spends 4 % of its time on entering TensorFlow, and more keep more
# frames in memory.
AT_ONCE = 4

Batches = dict[str, tf.Tensor]


class PrefetchingLearner:
    """Learns as `DQN.learn` does, from rows of replay. Owns the helper thread."""

    def __init__(self, agent: DQN, replay: UniformReplay | MixedReplay, batch_size: int) -> None:
        self._agent = agent
        self._replay = replay
        self._batch_size = batch_size
        self._helper = ThreadPoolExecutor(1, "batches")

    def learn(self, most_updates: int, updates: int, pretrains: bool = False) -> Learned:
        """Draw `most_updates` batches and do the first `updates` updates.

        It learns the same as `agent.learn(replay.sample(...), updates)` or, if it `pretrains`, as
        `agent.pretrain` does.
        """
        agent = self._agent
        learn = agent.pretrain if pretrains else agent.learn
        metrics = agent.imitation_program.metrics if pretrains else agent.block_metrics
        drawn = self._replay.draw(most_updates, self._batch_size)
        parts = [slice(start, start + AT_ONCE) for start in range(0, updates, AT_ONCE)]
        results: list[Learned] = []
        counts: list[int] = []
        future = self._fetch(drawn, parts[0])
        for number, part in enumerate(parts):
            batches = future.result()
            if number + 1 < len(parts):
                future = self._fetch(drawn, parts[number + 1])
            count = min(part.stop, updates) - part.start
            counts.append(count)
            results.append(learn(batches, count))
        return _joined(results, counts, metrics)

    def close(self) -> None:
        """End the helper thread."""
        self._helper.shutdown()

    def _fetch(self, drawn: dict[str, np.ndarray], part: slice) -> "Future[Batches]":
        drawn_part = {name: column[part] for name, column in drawn.items()}
        return self._helper.submit(self._take, drawn_part)

    def _take(self, drawn: dict[str, np.ndarray]) -> Batches:
        batches = self._replay.take(drawn)
        return {name: tf.constant(column) for name, column in batches.items()}


def _joined(results: list[Learned], counts: list[int], metrics: BlockMetrics) -> Learned:
    """Join the results of calls with so many updates each."""
    joined = metrics.join([result.metrics for result in results], counts)
    errors = [result.error for result in results if result.error is not None]
    return Learned(joined, results[-1].weights, np.concatenate(errors) if errors else None)
