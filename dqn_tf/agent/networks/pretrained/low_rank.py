"""Changes of low rank beside frozen projections (Hu et al. 2022, LoRA)."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

from dqn_tf.agent.networks.causal_blocks import projection
from dqn_tf.agent.networks.layers import DTYPE
from dqn_tf.language.llama import LlamaShape

SCALE = 2.0  # alpha / rank


class LowRankChange(tf.keras.layers.Layer):
    """What is added to a projection: SCALE · up(down(x)), 0 at the start."""

    def __init__(self, units: int, rank: int, seeds: Iterator[int], name: str) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.down = projection(rank, "down", seeds)
        self.up = projection(units, "up", None)
        self.built = True  # by its layers, when they are called first

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return [B, T, units] of [B, T, width]."""
        return SCALE * self.up(self.down(inputs))


class BlockChange(tf.keras.layers.Layer):
    """The changes of one block's queries and values."""

    def __init__(self, shape: LlamaShape, rank: int, seeds: Iterator[int], name: str) -> None:
        super().__init__(name=name, dtype=DTYPE)
        shared = shape.key_value_heads * shape.head_width
        self.query = LowRankChange(shape.heads * shape.head_width, rank, seeds, "query_change")
        self.value = LowRankChange(shared, rank, seeds, "value_change")
        self.built = True  # by its layers, when they are called first
