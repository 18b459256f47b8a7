"""A torso that sees which words a text has, and not their order: DRRN's (He et al. 2016)."""

from collections.abc import Iterator

import tensorflow as tf

from dqn_tf.agent.networks.layers import DenseLayers, make_embedding
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces


class WordSum(Torso):
    """Embeddings of `width` of all tokens but padding, added up, and layers of `hidden_units`.

    The sum is divided by the square root of their number, which leaves the size of its entries as
    it is. Choices told as texts share the embedding.
    """

    def __init__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> None:
        super().__init__(spaces, config, seeds)
        self.padding = spaces.padding
        self.entry = make_embedding(spaces.vocabulary, config.width, next(seeds), "tokens")
        self.width = config.hidden_units[-1]
        dense = DenseLayers(config, seeds, self.uses_xla)
        self.hidden = dense.hidden(config.width, config.hidden_units, "hidden")

    @property
    def token_embedding(self) -> tf.keras.layers.Layer:
        """The embedding of tokens."""
        return self.entry

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return tokens [B, T] int32."""
        return tf.cast(observation, tf.int32)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return [B, width] float32 of tokens [B, T]."""
        weights = tf.cast(features != self.padding, tf.float32)  # [B, T]
        count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
        words = tf.einsum("bt,btw->bw", weights, self.words(features))
        features = words / tf.sqrt(count)
        for layer in self.hidden:
            features = layer(features, training=training)
        return features

    def words(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return what is added up, [B, T, width], of tokens [B, T]."""
        return self.entry(tokens)
