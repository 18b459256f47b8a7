"""A torso that sees phrases of a text, wherever they stand: a convolution over its words."""

from collections.abc import Iterator

import tensorflow as tf

from benchmarks.choices.word_sum import WordSum
from dqn_tf.agent.networks.layers import DTYPE
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces

WORDS = 4


class Phrases(WordSum):
    """As `WordSum`, but what is added up are `width` features of each four words in a row.

    They are rectified, so a text is told by which phrases it has (Kim 2014).
    """

    pads_empty_batch = True  # as any convolution

    def __init__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> None:
        super().__init__(spaces, config, seeds)
        self.phrases = tf.keras.layers.Conv1D(
            config.width,
            WORDS,
            padding="causal",
            activation="relu",
            kernel_initializer=tf.keras.initializers.HeNormal(next(seeds)),
            name="phrases",
            dtype=DTYPE,
        )

    def words(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return [B, T, width] of tokens [B, T]."""
        return self.phrases(self.entry(tokens))
