"""The stream of a pretrained language model: embedding, causal blocks, last norm, logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.causal_blocks import CausalBlock, RMSNorm
from dqn_tf.agent.networks.layers import DTYPE
from dqn_tf.language import llama
from dqn_tf.language.model_files import ModelFiles
from dqn_tf.support.errors import UserError


class LlamaTrunk(tf.keras.layers.Layer):
    """The first `blocks` blocks of a model of the Llama family (Touvron et al. 2023).

    What it computes is what Hugging Face's LlamaForCausalLM does, whose `hidden_states[k]` is
    `states(tokens, k)`.

    Attributes:
      shape: sizes of the model, `shape.layers` being the number of blocks that are here.
      is_whole: whether these are all of the model's, so that there is a last norm and logits.
    """

    def __init__(self, files: ModelFiles, blocks: int = 0) -> None:
        super().__init__(name="trunk", dtype=DTYPE)
        blocks = blocks or files.shape.layers
        if blocks > files.shape.layers:
            raise UserError(
                f"--language_layers={blocks}: --language_model={files.model} has"
                f" {files.shape.layers} layers."
            )
        files.require_weights(blocks)
        self.is_whole = blocks == files.shape.layers
        self.shape = files.shape._replace(layers=blocks)
        table = (self.shape.vocabulary, self.shape.width)
        self.embedding = self.add_weight(name="embedding", shape=table, initializer="zeros")
        self.blocks = [CausalBlock(self.shape, None, f"block_{number}") for number in range(blocks)]
        self.norm = RMSNorm("norm", self.shape.epsilon) if self.is_whole else None
        self.output_table = None
        if self.is_whole and not self.shape.is_tied:
            self.output_table = self.add_weight(name="output", shape=table, initializer="zeros")
        self.built = True
        self._load(files)

    def _load(self, files: ModelFiles) -> None:
        """Set all weights to those of the files. Raises UserError."""
        length = tf.zeros((1, 1), tf.int32)
        self.states(length, self.shape.layers)  # makes the weights
        setters = self._setters()
        for name in files.names(self.shape.layers):
            setters[name](files.array(name))

    def _setters(self) -> dict[str, Callable[[np.ndarray], object]]:
        """Return what takes each weight, by Hugging Face's names."""
        setters = {llama.EMBEDDING: self.embedding.assign}
        for number, block in enumerate(self.blocks):
            attention, mlp = block.attention, block.mlp
            layers = {
                "input_layernorm.weight": block.attention_norm,
                llama.QUERY: attention.query,
                llama.KEY: attention.key,
                "self_attn.v_proj.weight": attention.value,
                "self_attn.o_proj.weight": attention.output_projection,
                "post_attention_layernorm.weight": block.mlp_norm,
                "mlp.gate_proj.weight": mlp.gate,
                "mlp.up_proj.weight": mlp.up,
                "mlp.down_proj.weight": mlp.down,
            }
            setters |= {llama.in_block(number, name): _setter(layers[name]) for name in layers}
        if self.norm is not None:
            setters[llama.LAST_NORM] = self.norm.scale.assign
        if self.output_table is not None:
            setters[llama.OUTPUT] = self.output_table.assign
        return setters

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the states after the last block, [B, T, width] of tokens [B, T] int32."""
        return self.states(tokens, self.shape.layers)

    def states(self, tokens: tf.Tensor, at: int) -> tf.Tensor:
        """Return the stream after `at` blocks, [B, T, width]; after all of them, with a norm."""
        return self.all_states(tokens, at)[at]

    def last_blocks(self, stream: tf.Tensor, changes: Sequence[Any]) -> tf.Tensor:
        """Return the states after the last block, [B, T, width], of the stream some blocks before.

        These are as many as there are `changes`, one for each.
        """
        first = len(self.blocks) - len(changes)
        for block, change in zip(self.blocks[first:], changes, strict=True):
            stream = block(stream, change=change)
        return stream if self.norm is None or not changes else self.norm(stream)

    def all_states(self, tokens: tf.Tensor, at: int) -> list[tf.Tensor]:
        """Return the stream after 0, 1, ... `at` blocks, [B, T, width] each."""
        # an export may hold it in half as many bytes; the rows in use are cast, not the table
        states = [tf.cast(tf.gather(tf.convert_to_tensor(self.embedding), tokens), DTYPE)]
        for block in self.blocks[:at]:
            states.append(block(states[-1]))
        if self.norm is not None and at == len(self.blocks):
            states[-1] = self.norm(states[-1])
        return states

    def logits(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the logits of the next token, [B, T, vocabulary]."""
        assert self.is_whole, "a trunk that was cut has no logits"
        table = self.embedding if self.output_table is None else self.output_table
        return tf.matmul(self(tokens), tf.convert_to_tensor(table), transpose_b=True)


def _setter(layer: tf.keras.layers.Layer) -> Callable[[np.ndarray], object]:
    """Return what takes a weight [out, in] of a layer, or a norm's [width]."""
    if isinstance(layer, RMSNorm):
        return lambda array: layer.scale.assign(array)
    return lambda array: layer.kernel.assign(array.T)
