"""The blocks of a causal Transformer, made of public Keras layers.

A block is that of Llama (Touvron et al. 2023): RMS norm before each part, rotary positions, a gated
MLP, no biases. Keras's MultiHeadAttention hides its projections; here each is a `Dense` that can be
read, replaced and set to pretrained weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.choice import gated_width
from dqn_tf.agent.networks.layers import DTYPE
from dqn_tf.language.llama import ROTARY_BASE, LlamaShape, frequencies

EPSILON = 1e-5  # below the mean square in an RMS norm
UNSEEN = -1e9  # added to a score, it leaves a weight of exactly 0


def own_shape(vocabulary: int, width: int, heads: int, layers: int) -> LlamaShape:
    """Return the shape of a stream that is trained here from the start."""
    return LlamaShape(
        vocabulary=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        key_value_heads=heads,
        head_width=width // heads,
        hidden=gated_width(width),
        rotary_base=ROTARY_BASE,
        epsilon=EPSILON,
    )


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

    The share of a head's step s in step t depends on t - s, not on either (Su et al. 2021). Heads
    may share keys and values in groups (Ainslie et al. 2023).
    """

    def __init__(self, shape: LlamaShape, seeds: Iterator[int] | None) -> None:
        super().__init__(name="attention", dtype=DTYPE)
        self.shape = shape
        inner, shared = shape.heads * shape.head_width, shape.key_value_heads * shape.head_width
        self.query = projection(inner, "query", seeds)
        self.key = projection(shared, "key", seeds)
        self.value = projection(shared, "value", seeds)
        self.output_projection = projection(shape.width, "output", seeds, 2 * shape.layers)
        self.built = True  # by its layers, when they are called first

    def call(self, inputs: tf.Tensor, change: Any = None) -> tf.Tensor:
        """Return [B, T, width] of [B, T, width].

        A `change` has what is added to queries and to values, as functions of the inputs.
        """
        shape, length = self.shape, length_of(inputs)
        cosine, sine = rotary_angles(
            length, shape.head_width, shape.rotary_base, shape.rotary_divisors
        )
        query, value = self.query(inputs), self.value(inputs)
        if change is not None:
            query += change.query(inputs)
            value += change.value(inputs)
        query = rotate(self._by_head(query), cosine, sine)  # [B, H, T, head_width]
        key = self._grouped(rotate(self._by_head(self.key(inputs)), cosine, sine))
        value = self._grouped(self._by_head(value))
        scores = tf.matmul(query * shape.head_width**-0.5, key, transpose_b=True)  # [B, H, T, T]
        shares = tf.nn.softmax(scores + unseen(length))
        read = tf.transpose(tf.matmul(shares, value), (0, 2, 1, 3))  # [B, T, H, head_width]
        inner = shape.heads * shape.head_width
        return self.output_projection(tf.reshape(read, (-1, length, inner)))

    def _by_head(self, projected: tf.Tensor) -> tf.Tensor:
        """[B, T, heads · head_width] → [B, heads, T, head_width]."""
        heads = projected.shape[2] // self.shape.head_width
        length = length_of(projected)
        divided = tf.reshape(projected, (-1, length, heads, self.shape.head_width))
        return tf.transpose(divided, (0, 2, 1, 3))

    def _grouped(self, heads: tf.Tensor) -> tf.Tensor:
        """Give each query head the keys or values of its group, [B, H, T, head_width]."""
        sharing = self.shape.heads // self.shape.key_value_heads
        return heads if sharing == 1 else tf.repeat(heads, sharing, axis=1)


class GatedMLP(tf.keras.layers.Layer):
    """down(silu(gate(x)) · up(x)), each step for itself (Shazeer 2020)."""

    def __init__(self, shape: LlamaShape, seeds: Iterator[int] | None) -> None:
        super().__init__(name="mlp", dtype=DTYPE)
        self.gate = projection(shape.hidden, "gate", seeds)
        self.up = projection(shape.hidden, "up", seeds)
        self.down = projection(shape.width, "down", seeds, 2 * shape.layers)
        self.built = True  # by its layers, when they are called first

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return [B, T, width] of [B, T, width]."""
        return self.down(tf.nn.silu(self.gate(inputs)) * self.up(inputs))


class CausalBlock(tf.keras.layers.Layer):
    """Attention, then a gated MLP; each reads the normed stream and adds to it.

    `shape.layers` is the number of blocks in the stream: what each adds starts the smaller for it.
    Without seeds all weights are 0, and wait for those of a file.
    """

    def __init__(self, shape: LlamaShape, seeds: Iterator[int] | None, name: str) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.attention_norm = RMSNorm("attention_norm", shape.epsilon)
        self.attention = CausalAttention(shape, seeds)
        self.mlp_norm = RMSNorm("mlp_norm", shape.epsilon)
        self.mlp = GatedMLP(shape, seeds)
        self.built = True  # by its layers, when they are called first

    def call(self, stream: tf.Tensor, change: Any = None) -> tf.Tensor:
        """Return the stream [B, T, width] with what the block adds to it.

        `change` is that of the attention.
        """
        stream += self.attention(self.attention_norm(stream), change=change)
        return stream + self.mlp(self.mlp_norm(stream))


def projection(
    units: int, name: str, seeds: Iterator[int] | None, branches: int = 1
) -> tf.keras.layers.Dense:
    """Return a dense layer without bias.

    Its outputs start at the scale of its inputs or, where so many branches add up in one stream,
    at 1/√branches of it; without seeds they are 0.
    """
    start: tf.keras.initializers.Initializer | str = "zeros"
    if seeds is not None:
        scale = 1.0 / branches
        start = tf.keras.initializers.VarianceScaling(scale, "fan_in", "normal", next(seeds))
    return tf.keras.layers.Dense(
        units, use_bias=False, kernel_initializer=start, name=name, dtype=DTYPE
    )


def length_of(sequences: tf.Tensor) -> int | tf.Tensor:
    """Return the T of [B, T, ...], a number where the graph knows it."""
    length: int | None = sequences.shape[1]
    return tf.shape(sequences)[1] if length is None else length


def rotary_angles(
    length: int | tf.Tensor,
    head_width: int,
    base: float = ROTARY_BASE,
    divisors: tuple[float, ...] = (),
) -> tuple[Any, Any]:
    """Return cosine and sine of each position's angles, [T, head_width / 2] float32 each.

    With `divisors` the frequencies are divided by them, one each.
    """
    frequency = frequencies(base, head_width, divisors)
    if isinstance(length, int):
        angle = np.arange(length)[:, np.newaxis] * frequency
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    # in float64 as well: angles of far positions are large
    angle = tf.cast(tf.range(length), tf.float64)[:, tf.newaxis] * frequency
    return tf.cast(tf.cos(angle), tf.float32), tf.cast(tf.sin(angle), tf.float32)


def rotate(vectors: tf.Tensor, cosine: Any, sine: Any) -> tf.Tensor:
    """Turn [..., T, head_width] by the angles of their positions.

    A pair is a number of the first half and the one at its place in the second, as in Hugging
    Face's Llama.
    """
    first, second = tf.split(vectors, 2, axis=-1)
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return tf.concat(turned, axis=-1)


def unseen(length: int | tf.Tensor) -> Any:
    """Return what is added to the scores of later steps, [T, T] float32."""
    if not isinstance(length, int):
        return UNSEEN * (1.0 - tf.linalg.band_part(tf.ones((length, length)), -1, 0))
    return np.triu(np.full((length, length), UNSEEN, np.float32), 1)
