"""A pretrained language model that reads messages, and layers over what it says."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.layers import DenseLayers
from dqn_tf.agent.networks.pretrained.low_rank import BlockChange
from dqn_tf.agent.networks.pretrained.prompt import TEXT, Prompt
from dqn_tf.agent.networks.pretrained.readers import (
    FrozenReader,
    frozen_reader,
    frozen_trunk,
    read_directly,
    standard,
    stream_reader,
)
from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.agent.networks.torsos.gru import Recurrence, refusal_of_loop
from dqn_tf.agent.networks.torsos.mlp import shared_and_own
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.dialogues import ROLES
from dqn_tf.envs.spaces import Spaces
from dqn_tf.language.memory import COPIES_OF_ALL, FLOAT_BYTES, memory_of, stream_rows
from dqn_tf.language.model_files import open_model
from dqn_tf.support.errors import UserError

# mean and deviation of features, by what they depend on: the target's are the online network's
MEASURED: dict[tuple[object, ...], np.ndarray] = {}


class Borrowed:
    """Holds blocks that Keras is not to count among a network's own."""

    def __init__(self, trunk: Any) -> None:
        self.trunk = trunk


class Pretrained(Torso):
    """Features of each message by `config.language_model`, then layers of the network's own.

    A message is the mean of its tokens' states, standardised over the environment's texts, and who
    spoke. A layer of `width` reads each message alike. With `message_torso=dense` `hidden_units`
    read all of them in a row; with `gru` a recurrent unit of `width` reads one after the other, and
    `hidden_units` read its state. `steps` then gives the features after each message.

    With `fine_tune=head` the model is shared by all networks of the process and is none of their
    weights; with `lora` only the changes are the network's own; with `all` it is.

    Attributes:
      trunk: the language model's blocks.
      reader: what reads by the frozen layers and keeps what they said; None with `fine_tune=all`.
      recurrence: what reads one message after the other; None unless `message_torso=gru`.
      changes: of the last blocks, with `fine_tune=lora`.
      standard: mean and deviation of each feature, [2, width of the model].
    """

    takes_noise = True

    def __init__(
        self,
        spaces: Spaces,
        config: DQNConfig,
        seeds: Iterator[int],
        reader: FrozenReader | None = None,
    ) -> None:
        """Make the layers; a `reader` reads in place of the blocks in the model's files."""
        super().__init__(spaces, config, seeds)
        self.messages = spaces.messages
        self.texts = self.messages + spaces.choices  # in one observation
        self.start, self.tokens = spaces.category_start, spaces.categories
        self.length = config.message_tokens
        self.files = open_model(config.language_model)
        encode = self.files.tokenizer.encode
        self.prompt = Prompt(config.language_prompt, encode, config.skip_tokens)
        self.feature_noise, self.dropout = config.feature_noise, config.dropout
        self.noise_number = next(seeds) % 2**31
        self.reader = reader
        self._borrowed = None if reader is None else Borrowed(reader.trunk)
        self.changes: list[BlockChange] = []
        if reader is None:
            self._begin(config, seeds)
        self.text_width = self.trunk.shape.width
        began = time.perf_counter()
        measured = self._measured(config)
        self.seconds = time.perf_counter() - began
        self.standard = self.add_weight(
            name="standard", shape=measured.shape, initializer="zeros", trainable=False
        )
        self.standard.assign(measured)
        dense = DenseLayers(config, seeds, self.uses_xla)
        self.message_layers = dense.hidden(self.text_width + len(ROLES), (config.width,), "message")
        shared, self.head_units = shared_and_own(config.hidden_units, config.dueling)
        self.message_width = config.width
        self.recurrence: Recurrence | None = None
        read = self.messages * config.width
        if config.message_torso == "gru":
            self.recurrence = Recurrence(config.width, seeds, "messages", config.keep_bias)
            self.tokens_per_step = 1 + self.length
            read = config.width
        self.hidden = dense.hidden(read, shared, "hidden")
        self.width = shared[-1] if shared else read

    def _begin(self, config: DQNConfig, seeds: Iterator[int]) -> None:
        """Take the model as `fine_tune` says. Raises UserError."""
        model, blocks = config.language_model, config.language_layers
        if config.fine_tune == "all":
            self.own_trunk = LlamaTrunk(self.files, blocks)
            return
        self._borrowed = Borrowed(frozen_trunk(model, blocks))
        shape = self.trunk.shape
        reading = (model, blocks, self.length, config.language_prompt, config.skip_tokens)
        if config.fine_tune == "head":
            self.reader = frozen_reader(*reading)
            return
        if config.lora_layers > shape.layers:
            raise UserError(
                f"--lora_layers={config.lora_layers}: only {shape.layers} layers of the language"
                " model are in use."
            )
        self.changes = [
            BlockChange(shape, config.lora_rank, seeds, f"change_{number}")
            for number in range(config.lora_layers)
        ]
        at_once = max(config.batch_size, config.num_envs) * self.texts
        room = stream_rows(self.prompt.places(self.length) * shape.width, at_once)
        self.reader = stream_reader(*reading, room, config.lora_layers)

    def _measured(self, config: DQNConfig) -> np.ndarray:
        """Return what features are compared with; of one model and its texts it is measured once.

        Changes begin with nothing, and a model that learns begins as its files are.
        """
        texts = registry.texts(config)
        key = (self.identity, config.fine_tune, len(self.changes), tuple(texts))
        if key not in MEASURED:
            MEASURED[key] = standard(self._read, self.files.tokenizer, texts, self.length)
        return MEASURED[key]

    @property
    def trunk(self) -> Any:
        """The language model's blocks in use, the network's own or those that all share."""
        return self._borrowed.trunk if self._borrowed else self.own_trunk

    @classmethod
    def refusal(cls, spaces: Spaces) -> str:
        """Say in a sentence why the torso cannot take these spaces; empty if it can."""
        return choice.refusal_of_messages(spaces)

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return the features and the roles of messages, [B, M, width of the model + roles]."""
        highest = self.start + self.tokens - 1
        observation = tf.clip_by_value(tf.cast(observation, tf.int32), self.start, highest)
        places = tf.reshape(observation, (-1, self.messages, 1 + self.length))
        features = self.text_features(tf.reshape(places[..., 1:], (-1, self.length)))
        features = tf.reshape(features, (-1, self.messages, self.text_width))
        return self.with_roles(features, places[..., 0])

    def with_roles(self, features: tf.Tensor, roles: tf.Tensor) -> tf.Tensor:
        """Return what `call` reads, of features [B, M, width of the model] and roles [B, M]."""
        return tf.concat([features, tf.one_hot(roles, len(ROLES))], axis=2)

    def text_features(self, texts: tf.Tensor) -> tf.Tensor:
        """Return the standardised features [N, width of the model] of texts [N, L] of tokens."""
        texts = tf.cast(texts, tf.int32)
        is_there = tf.reduce_any(texts >= 0, axis=1, keepdims=True)
        mean, deviation = tf.unstack(tf.convert_to_tensor(self.standard))
        return tf.where(is_there, (self._read(texts) - mean) / deviation, 0.0)

    def _read(self, texts: tf.Tensor) -> tf.Tensor:
        if self.reader is not None:
            return self.reader(texts, self.changes)
        return read_directly(self.trunk, texts, self.prompt)

    def call(
        self, features: tf.Tensor, training: bool = False, noise_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return [B, width] of messages [B, M, width of the model + roles].

        In training the features have noise and units drop out, as the seed says.
        """
        options: dict[str, Any] = {"noise_seed": noise_seed, "training": training}
        drawn = self._drawn(noise_seed) if training and noise_seed is not None else None
        read = self._read_each(features, drawn, options)
        if self.recurrence is None:
            read = tf.reshape(read, (-1, self.messages * self.message_width))
        else:
            is_there = tf.reduce_any(features[..., self.text_width :] != 0.0, axis=2)  # [B, M]
            last = tf.reduce_max(tf.range(self.messages) * tf.cast(is_there, tf.int32), axis=1)
            read = tf.gather(self.recurrence(read), last, axis=1, batch_dims=1)
        return self._through(self.hidden, read, drawn, options)

    def steps(
        self, features: tf.Tensor, training: bool = False, noise_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return the features after each message, [B, M, width].

        Those after message m are what `call` returns of the first m + 1 messages.
        """
        assert self.recurrence is not None, "dense layers read all messages at once"
        options: dict[str, Any] = {"noise_seed": noise_seed, "training": training}
        drawn = self._drawn(noise_seed) if training and noise_seed is not None else None
        states = self.recurrence(self._read_each(features, drawn, options))
        states = tf.reshape(states, (-1, self.message_width))
        steps = self._through(self.hidden, states, drawn, options)
        return tf.reshape(steps, (-1, self.messages, self.width))

    def _read_each(
        self,
        features: tf.Tensor,
        drawn: Iterator[tf.Tensor] | None,
        options: Mapping[str, Any],
    ) -> tf.Tensor:
        """Return what the layers for each message make of them, [B, M, `config.width`]."""
        features = tf.reshape(features, (-1, self.text_width + len(ROLES)))
        if drawn is not None:
            features = self._with_noise(features, next(drawn))
        features = self._through(self.message_layers, features, drawn, options)
        return tf.reshape(features, (-1, self.messages, self.message_width))

    def _through(
        self,
        layers: Sequence[tf.keras.layers.Layer],
        features: tf.Tensor,
        drawn: Iterator[tf.Tensor] | None,
        options: Mapping[str, Any],
    ) -> tf.Tensor:
        """Return what layers make of features; with seeds, units drop out behind each."""
        for layer in layers:
            features = layer(features, **options)
            if drawn is not None:
                features = self._dropped(features, next(drawn))
        return features

    def _drawn(self, noise_seed: tf.Tensor) -> Iterator[tf.Tensor]:
        """Yield seeds, int32 [2], for one draw after another; NoisyDense layers have others."""
        for number in itertools.count(self.noise_number):
            yield noise_seed + tf.constant([0, number % 2**31], tf.int32)

    def _with_noise(self, features: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Add normal noise to what the model says of each message that is there."""
        if not self.feature_noise:
            return features
        said, roles = tf.split(features, [self.text_width, len(ROLES)], axis=1)
        is_there = tf.reduce_any(said != 0.0, axis=1, keepdims=True)
        noise = tf.random.stateless_normal(tf.shape(said), seed, stddev=self.feature_noise)
        return tf.concat([tf.where(is_there, said + noise, said), roles], axis=1)

    def _dropped(self, units: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Leave out units by chance, and make up for them (Srivastava et al. 2014)."""
        if not self.dropout:
            return units
        return tf.nn.experimental.stateless_dropout(units, self.dropout, seed)

    def for_export(self) -> contextlib.AbstractContextManager[None]:
        """Return what makes the graph read messages by the model itself while it lasts."""
        return contextlib.nullcontext() if self.reader is None else self.reader.without_table()

    def frozen_variables(self) -> Sequence[Any]:
        """Return the model's weights where they are not among the network's."""
        return self.trunk.variables if self._borrowed else ()

    def halvable(self) -> Sequence[Any]:
        """Return the model's matrices."""
        return [variable for variable in self.trunk.variables if len(variable.shape) > 1]

    def extra_files(self) -> Mapping[str, str]:
        """Return the model's tokenizer, by which a server reads texts."""
        return {"tokenizer.json": self.files.tokenizer.to_json()}

    def model_variables(self) -> Sequence[tf.Variable]:
        """Return the model's weights that learn, or those of its changes."""
        layers = self.changes if self._borrowed else [self.own_trunk]
        return [variable for layer in layers for variable in layer.variables]

    def sentences(self, trainable: int) -> Iterator[str]:
        """Say how much of the model learns, what it takes, and how long the first reading took."""
        files, used = self.files, self.trunk.shape.layers
        weights = self.trunk.count_params()
        frozen = weights if self._borrowed else 0
        yield (
            f"Language model: {used} of {files.shape.layers} layers of {files.model},"
            f" {weights:,} weights ({_mebibytes(weights * FLOAT_BYTES)})."
            f" {trainable:,} weights learn, {frozen:,} of the model are frozen and shared with the"
            " target."
        )
        if self.reader is None:
            yield (
                f"The model learns: its weights take up to"
                f" {_mebibytes(memory_of(files, used, 'all').bytes)}, as online"
                " network, target, gradients, in the optimizer, as the best so far and in a"
                " checkpoint."
            )
            return
        table = self.reader.table
        what = "features"
        if self.changes:
            copies = FLOAT_BYTES * COPIES_OF_ALL * trainable
            yield (
                f"The last {len(self.changes)} of these layers have changes of low rank, which"
                f" take with all that learns up to {_mebibytes(copies)}. A text is read once by the"
                f" {used - len(self.changes)} layers below."
            )
            what = "states"
        yield (
            f"{len(table):,} texts read in {self.seconds:.1f} s, each once; room for the {what}"
            f" of {table.room:,} ({_mebibytes(table.bytes)})."
        )

    def refusal_of_tflite(self) -> str:
        """Say why TFLite has no operations for so many messages; empty if it has, or may have."""
        return "" if self.recurrence is None else refusal_of_loop(self.messages)

    @property
    def identity(self) -> str:
        """What the features of a text depend on, but for what learns."""
        model = getattr(self.trunk, "sha256", self.files.sha256)  # a trunk of another origin
        parts = (model, self.trunk.shape.layers, self.length, self.prompt.skip)
        said = "-".join(map(str, parts))
        return said if self.prompt.words == TEXT else f"{said}-{self.prompt.words}"

    def kept(self) -> dict[str, np.ndarray]:
        """Return the features of all messages that the frozen model has read.

        The states below changes are many times as large and soon read again: they are left out.
        """
        if self.reader is None or self.changes:
            return {}
        return self.reader.table.rows()

    def restore_kept(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `kept` returned."""
        if self.reader is not None and not self.changes:
            self.reader.table.restore(arrays["keys"], arrays["features"])


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
