"""The blocks of a causal Transformer, made of public Keras layers.

A block is that of Llama (Touvron et al. 2023): RMS norm before each part, rotary positions, a gated
MLP, no biases. Keras's MultiHeadAttention hides its projections; here each is a `Dense` that can be
read, replaced and set to pretrained weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.choice import gated_width
from dqn_tf.agent.networks.layers import DTYPE

EPSILON = 1e-5  # below the mean square in an RMS norm
ROTARY_BASE = 10_000.0
UNSEEN = -1e9  # added to a score, it leaves a weight of exactly 0


class RMSNorm(tf.keras.layers.Layer):
    """Scales vectors to a root mean square of 1 (Zhang and Sennrich 2019), times a weight each."""

    def __init__(self, name: str, epsilon: float = EPSILON) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.epsilon = epsilon

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the weights [width], 1 at the start."""
        self.scale = self.add_weight(
            name="scale", shape=(int(input_shape[-1]),), initializer="ones"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return [..., width] of [..., width]."""
        mean_square = tf.reduce_mean(tf.square(inputs), axis=-1, keepdims=True)
        return inputs * tf.math.rsqrt(mean_square + self.epsilon) * self.scale


class CausalAttention(tf.keras.layers.Layer):
    """Attention of each step to itself and all before it, with rotary positions.

    The share of a head's step s in step t depends on t - s, not on either (Su et al. 2021).
    """

    def __init__(self, width: int, heads: int, layers: int, seeds: Iterator[int]) -> None:
        super().__init__(name="attention", dtype=DTYPE)
        self.heads = heads
        self.head_width = width // heads
        self.query = projection(width, "query", seeds)
        self.key = projection(width, "key", seeds)
        self.value = projection(width, "value", seeds)
        self.output_projection = projection(width, "output", seeds, branches=2 * layers)
        self.built = True  # by its layers, when they are called first

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return [B, T, width] of [B, T, width]."""
        length, width = inputs.shape[1:]
        cosine, sine = rotary_angles(length, self.head_width)
        query = rotate(self._by_head(self.query(inputs)), cosine, sine)
        key = rotate(self._by_head(self.key(inputs)), cosine, sine)
        value = self._by_head(self.value(inputs))
        scores = tf.matmul(query * self.head_width**-0.5, key, transpose_b=True)  # [B, H, T, T]
        shares = tf.nn.softmax(scores + unseen(length))
        read = tf.transpose(tf.matmul(shares, value), (0, 2, 1, 3))  # [B, T, H, head_width]
        return self.output_projection(tf.reshape(read, (-1, length, width)))

    def _by_head(self, projected: tf.Tensor) -> tf.Tensor:
        """[B, T, width] → [B, H, T, head_width]."""
        length = projected.shape[1]
        divided = tf.reshape(projected, (-1, length, self.heads, self.head_width))
        return tf.transpose(divided, (0, 2, 1, 3))


class GatedMLP(tf.keras.layers.Layer):
    """down(silu(gate(x)) · up(x)), each step for itself (Shazeer 2020)."""

    def __init__(self, width: int, layers: int, seeds: Iterator[int]) -> None:
        super().__init__(name="mlp", dtype=DTYPE)
        hidden = gated_width(width)
        self.gate = projection(hidden, "gate", seeds)
        self.up = projection(hidden, "up", seeds)
        self.down = projection(width, "down", seeds, branches=2 * layers)
        self.built = True  # by its layers, when they are called first

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return [B, T, width] of [B, T, width]."""
        return self.down(tf.nn.silu(self.gate(inputs)) * self.up(inputs))


class CausalBlock(tf.keras.layers.Layer):
    """Attention, then a gated MLP; each reads the normed stream and adds to it.

    `layers` is the number of blocks in the stream: what each adds starts the smaller for it.
    """

    def __init__(
        self, width: int, heads: int, layers: int, seeds: Iterator[int], name: str
    ) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.attention_norm = RMSNorm("attention_norm")
        self.attention = CausalAttention(width, heads, layers, seeds)
        self.mlp_norm = RMSNorm("mlp_norm")
        self.mlp = GatedMLP(width, layers, seeds)
        self.built = True  # by its layers, when they are called first

    def call(self, stream: tf.Tensor) -> tf.Tensor:
        """Return the stream [B, T, width] with what the block adds to it."""
        stream += self.attention(self.attention_norm(stream))
        return stream + self.mlp(self.mlp_norm(stream))


def projection(
    units: int, name: str, seeds: Iterator[int], branches: int = 1
) -> tf.keras.layers.Dense:
    """Return a dense layer without bias.

    Its outputs start at the scale of its inputs or, where so many branches add up in one stream,
    at 1/√branches of it.
    """
    start = tf.keras.initializers.VarianceScaling(1.0 / branches, "fan_in", "normal", next(seeds))
    return tf.keras.layers.Dense(
        units, use_bias=False, kernel_initializer=start, name=name, dtype=DTYPE
    )


def rotary_angles(length: int, head_width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine of each position's angles, [T, head_width / 2] float32 each."""
    frequency = ROTARY_BASE ** (-np.arange(0, head_width, 2) / head_width)
    angle = np.arange(length)[:, np.newaxis] * frequency
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rotate(vectors: tf.Tensor, cosine: np.ndarray, sine: np.ndarray) -> tf.Tensor:
    """Turn [..., T, head_width] by the angles of their positions.

    A pair is a number of the first half and the one at its place in the second, as in Hugging
    Face's Llama.
    """
    first, second = tf.split(vectors, 2, axis=-1)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return tf.concat(turned, axis=-1)


def unseen(length: int) -> np.ndarray:
    """Return what is added to the scores of later steps, [T, T] float32."""
    return np.triu(np.full((length, length), UNSEEN, np.float32), 1)
