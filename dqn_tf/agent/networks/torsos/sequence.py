"""What torsos share that read one step after the other: tokens, or observations side by side."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.layers import DTYPE, fan_in_uniform, make_embedding
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces


class SequenceTorso(Torso):
    """Reads tokens [T], or numbers of T steps [T, N], the oldest first.

    `steps` returns features of each step, which depend on no later one; the head reads those of the
    last token that is not padding, or of the last step. A torso of this kind has a `read`.
    """

    def __init__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> None:
        super().__init__(spaces, config, seeds)
        self.width = config.width
        # counted from 0, as `encode` counts
        self.padding = None
        if spaces.padding is not None:
            self.padding = spaces.padding - spaces.category_start
        if spaces.vocabulary:
            self.entry = make_embedding(spaces.vocabulary, config.width, next(seeds), "tokens")
        else:
            fan_in = spaces.observation_shape[-1]
            self.entry = tf.keras.layers.Dense(
                config.width,
                kernel_initializer=fan_in_uniform(fan_in, next(seeds)),
                bias_initializer=fan_in_uniform(fan_in, next(seeds)),
                name="numbers",
                dtype=DTYPE,
            )

    @property
    def token_embedding(self) -> tf.keras.layers.Layer | None:
        """The embedding of tokens; None where steps are numbers."""
        return self.entry if self.encoding.categories else None

    @classmethod
    def refusal(cls, spaces: Spaces) -> str:
        """Say in a sentence why the torso cannot take these spaces; empty if it can."""
        return choice.refusal_of_sequences(spaces)

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return tokens [B, T] int32, counted from 0, or numbers [B, T, N].

        What is no token is read as the nearest one, with XLA and without.
        """
        encoding = self.encoding
        if not encoding.categories:
            return super().encode(observation)
        tokens = tf.cast(observation, tf.int32) - encoding.category_start
        return tf.clip_by_value(tokens, 0, encoding.categories - 1)

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return [B, width] of tokens [B, T] or numbers [B, T, N]."""
        steps = self.steps(features, training)
        if self.padding is None:
            return steps[:, -1]
        return tf.gather(steps, self.last(features), axis=1, batch_dims=1)

    def steps(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the features of every step, [B, T, width], of tokens [B, T] or numbers [B, T, N].

        Those at step t are what `call` returns of an observation that ends with it.
        """
        return self.read(self.entry(features), training)

    def last(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the place of the last token that is not padding, [B] int32; 0 where all are."""
        places = tf.range(tokens.shape[1]) * tf.cast(tokens != self.padding, tf.int32)
        return tf.reduce_max(places, axis=1)

    def read(self, stream: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return [B, T, width] of the steps' first features [B, T, width]."""
        raise NotImplementedError(f"{type(self).__name__} has no method `read`")
