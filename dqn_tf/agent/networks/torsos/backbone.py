"""A KerasHub `Backbone` in place of a language model's files, given from Python."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from dqn_tf.agent.networks.pretrained.prompt import Prompt
from dqn_tf.agent.networks.pretrained.readers import FrozenReader
from dqn_tf.agent.networks.torsos.pretrained import Pretrained
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError

INPUTS = {"token_ids", "padding_mask"}


class BackboneShape(NamedTuple):
    """The sizes of a backbone that the torso asks for."""

    width: int
    layers: int


class BackboneTrunk:
    """A frozen backbone as what a reader asks: states [B, T, width] of tokens [B, T] int32."""

    def __init__(self, backbone: Any) -> None:
        inputs = getattr(backbone, "input", None)
        if not isinstance(inputs, dict) or set(inputs) != INPUTS:
            raise UserError(
                f"{type(backbone).__name__} is no causal Backbone of KerasHub, which has the inputs"
                " token_ids and padding_mask."
            )
        backbone.trainable = False
        self.backbone = backbone
        self.shape = BackboneShape(int(backbone.output.shape[-1]), int(backbone.num_layers))

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the states; what stands behind a text's end is seen by no token before it."""
        inputs = {"token_ids": tokens, "padding_mask": tf.ones_like(tokens)}
        return tf.cast(self.backbone(inputs, training=False), tf.float32)

    @property
    def variables(self) -> list[Any]:
        """The backbone's weights."""
        return list(self.backbone.variables)

    def count_params(self) -> int:
        """Return the number of weights."""
        return int(self.backbone.count_params())

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the weights, one after another."""
        digest = hashlib.sha256()
        for variable in self.variables:
            digest.update(tf.convert_to_tensor(variable).numpy().tobytes())
        return digest.hexdigest()


class WithBackbone:
    """Makes the torso `pretrained` on a backbone, for `DQN(config, torso=WithBackbone(...))`.

    The backbone is causal and stays frozen; all networks share it and what it has read. The tokens
    are those of `config.language_model`, whose weights are not read: its tokenizer must be the
    backbone's.
    """

    def __init__(self, backbone: Any) -> None:
        self._trunk = BackboneTrunk(backbone)
        self._reader: FrozenReader | None = None

    def __call__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> Pretrained:
        """Return a torso. Raises UserError."""
        if reason := Pretrained.refusal(spaces):
            raise UserError(f"A backbone: {reason}")
        if config.fine_tune != "head":
            raise UserError(
                f"fine_tune={config.fine_tune!r}: a backbone stays frozen. Use fine_tune='head'."
            )
        files = open_model(config.language_model)
        if files.shape.vocabulary > self._trunk.backbone.vocabulary_size:
            raise UserError(
                f"language_model={config.language_model!r} has {files.shape.vocabulary:,} tokens,"
                f" and the backbone {self._trunk.backbone.vocabulary_size:,}: they are two models."
            )
        if self._reader is None:
            prompt = Prompt(config.language_prompt, files.tokenizer.encode, config.skip_tokens)
            self._reader = FrozenReader(self._trunk, config.message_tokens, prompt)
        return Pretrained(spaces, config, seeds, reader=self._reader)
