"""A frozen language model that reads token by token and remembers keys and values."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from dqn_tf.agent.networks.causal_blocks import UNSEEN, rotary_angles, rotate
from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk


class Memory(NamedTuple):
    """Keys and values of all tokens so far, [layers, B, T, heads, head_width] each."""

    keys: tf.Tensor
    values: tf.Tensor

    def repeated(self, count: int) -> Memory:
        """Return the memory of one text as that of so many that begin with it."""
        return Memory(tf.repeat(self.keys, count, axis=1), tf.repeat(self.values, count, axis=1))


class Reader:
    """Gives the state behind the last token of texts, and all logits of the next one.

    Attributes:
      trunk: the whole model.
      tokens: how many tokens it has read, those of each text of a batch.
    """

    def __init__(self, trunk: LlamaTrunk) -> None:
        self.trunk = trunk
        self.tokens = 0
        shape = trunk.shape
        past = tf.TensorSpec(
            (shape.layers, None, None, shape.key_value_heads, shape.head_width), tf.float32
        )
        read = tf.TensorSpec((None, None), tf.int32)
        signature = [read, past, past]
        self._function = tf.function(self._read, input_signature=signature, autograph=False)

    def begin(self, texts: int) -> Memory:
        """Return the memory of so many texts without a token."""
        shape = self.trunk.shape
        nothing = tf.zeros((shape.layers, texts, 0, shape.key_value_heads, shape.head_width))
        return Memory(nothing, nothing)

    def read(self, tokens: Any, memory: Memory) -> tuple[tf.Tensor, tf.Tensor, Memory]:
        """Read the next tokens [B, N]; return states [B, width], logits [B, V] and the memory."""
        tokens = tf.constant(tokens, tf.int32)
        self.tokens += int(tf.size(tokens))
        states, logits, *past = self._function(tokens, *memory)
        return states, logits, Memory(*past)

    def _read(self, tokens: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> tuple[Any, ...]:
        trunk, shape = self.trunk, self.trunk.shape
        before, count = tf.shape(keys)[2], tf.shape(tokens)[1]
        angles = rotary_angles(
            before + count, shape.head_width, shape.rotary_base, shape.rotary_divisors
        )
        angles = tuple(angle[before:] for angle in angles)
        # each of the new tokens sees all before them, and of them those up to itself
        later = 1.0 - tf.linalg.band_part(tf.ones((count, before + count)), -1, before)
        stream = tf.gather(tf.convert_to_tensor(trunk.embedding), tokens)
        all_keys, all_values = [], []
        for number, block in enumerate(trunk.blocks):
            past = (keys[number], values[number])
            read, key, value = self._attend(
                block.attention, block.attention_norm(stream), past, angles, UNSEEN * later
            )
            stream += read
            stream += block.mlp(block.mlp_norm(stream))
            all_keys.append(key)
            all_values.append(value)
        assert trunk.norm is not None, "all of the model's layers are read"
        states = trunk.norm(stream[:, -1])
        table = trunk.embedding if trunk.output_table is None else trunk.output_table
        logits = tf.matmul(states, tf.convert_to_tensor(table), transpose_b=True)
        return states, logits, tf.stack(all_keys), tf.stack(all_values)

    def _attend(
        self, attention: Any, inputs: tf.Tensor, past: Any, angles: Any, unseen: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Return what attention adds [B, N, width], and all keys and values [B, T, heads, ...]."""
        shape = self.trunk.shape

        def by_head(projected: tf.Tensor, heads: int) -> tf.Tensor:
            length = tf.shape(projected)[1]
            return tf.reshape(projected, (-1, length, heads, shape.head_width))

        def turned(vectors: tf.Tensor) -> tf.Tensor:  # [B, N, heads, head_width]
            return tf.transpose(rotate(tf.transpose(vectors, (0, 2, 1, 3)), *angles), (0, 2, 1, 3))

        shared = shape.key_value_heads
        query = turned(by_head(attention.query(inputs), shape.heads))
        key = turned(by_head(attention.key(inputs), shared))
        key = tf.concat([past[0], key], axis=1)
        value = tf.concat([past[1], by_head(attention.value(inputs), shared)], axis=1)
        # heads of queries that share keys and values lie side by side
        grouped = (-1, tf.shape(query)[1], shared, shape.heads // shared, shape.head_width)
        query = tf.reshape(query, grouped) * shape.head_width**-0.5
        scores = tf.einsum("bnsgd,btsd->bsgnt", query, key) + unseen
        read = tf.einsum("bsgnt,btsd->bnsgd", tf.nn.softmax(scores), value)
        flat = (-1, tf.shape(inputs)[1], shape.heads * shape.head_width)
        return attention.output_projection(tf.reshape(read, flat)), key, value
