"""How a language model reads messages: mean of their tokens' states, each message by itself."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.pretrained.feature_table import FeatureTable
from dqn_tf.agent.networks.pretrained.prompt import Prompt
from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
from dqn_tf.language.byte_pairs import BytePairs
from dqn_tf.language.model_files import open_model

LEAST_DEVIATION = 0.1  # of the median one: what hardly varies is not blown up
# What features are compared with where an environment says no texts of its own.
PLAIN_TEXTS = (
    "Good morning, how can I help you?",
    "The letter came two days late, and it was wet.",
    "I would like to change my address.",
    "Prices rose again this week.",
    "Nobody answered when I called.",
    "That is fine with me, thank you.",
    "Where can I see what I have paid so far?",
    "A small house stands at the end of the road.",
    "Please send it back to the shop.",
    "It does not work since yesterday evening.",
)


def features_of(
    states: Callable[[tf.Tensor], tf.Tensor], messages: tf.Tensor, prompt: Prompt
) -> tf.Tensor:
    """Return the mean of a message's states within the prompt, [N, width] of messages [N, L].

    `states` [N, T, width] are those of tokens [N, T]; messages are negative behind their end.
    """
    read, is_counted = prompt.around(messages)
    weights = tf.cast(is_counted, tf.float32)
    total = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
    return tf.reduce_sum(states(tf.maximum(read, 0)) * weights[..., tf.newaxis], axis=1) / total


def read_directly(
    trunk: LlamaTrunk, messages: tf.Tensor, prompt: Prompt, changes: Sequence[Any] = ()
) -> tf.Tensor:
    """Return the features [N, width] of messages [N, L]; equal ones are read once, empty ones not.

    Those of an empty message are 0. The last blocks have the `changes`.
    """
    is_there = tf.reduce_any(messages >= 0, axis=1)
    present = tf.boolean_mask(messages, is_there)
    different, number = tf.raw_ops.UniqueV2(x=present, axis=[0])
    different = tf.ensure_shape(different, (None, messages.shape[1]))
    features = features_of(lambda tokens: trunk.changed(tokens, changes), different, prompt)
    places = tf.where(is_there)
    shape = tf.stack([tf.shape(messages)[0], trunk.shape.width])
    return tf.scatter_nd(places, tf.gather(features, number), tf.cast(shape, tf.int64))


class FrozenReader:
    """A language model whose weights never change, with a table of what it has read.

    All networks of a process share it: it is no part of their weights.

    Attributes:
      trunk: the model's blocks in use.
      table: features of the messages so far.
      length: tokens of a message.
    """

    def __init__(self, model: str, blocks: int, length: int, prompt: Prompt) -> None:
        self.trunk = frozen_trunk(model, blocks)
        self.length = length
        self.prompt = prompt
        self.width = self.trunk.shape.width
        one = tf.TensorSpec((1, length), tf.int32)
        encode = tf.function(
            lambda message: features_of(self.trunk, message, prompt),
            input_signature=[one],
            autograph=False,
        )
        self.table = FeatureTable(encode, length, self.width)
        self._is_exported = False

    def __call__(self, messages: tf.Tensor) -> tf.Tensor:
        """Return the features [N, width] of messages [N, L] int32, negative behind their end."""
        if self._is_exported:
            return read_directly(self.trunk, messages, self.prompt)
        return tf.stop_gradient(self.table.read(messages))

    @contextlib.contextmanager
    def without_table(self) -> Iterator[None]:
        """Read messages by the model itself while this lasts: what an export does."""
        self._is_exported = True
        try:
            yield
        finally:
            self._is_exported = False


def standard(
    read: Callable[[tf.Tensor], tf.Tensor], tokenizer: BytePairs, texts: Sequence[str], length: int
) -> np.ndarray:
    """Return mean and deviation of each feature over texts, [2, width]."""
    texts = list(dict.fromkeys(texts or PLAIN_TEXTS))
    messages = np.full((len(texts), length), -1, np.int32)
    for row, text in enumerate(texts):
        tokens = tokenizer.encode(text)[-length:]
        messages[row, : len(tokens)] = tokens
    features = read(tf.constant(messages)).numpy()
    deviation = features.std(axis=0)
    least = LEAST_DEVIATION * np.median(deviation)
    return np.stack([features.mean(axis=0), np.maximum(deviation, max(least, 1e-6))])


@functools.lru_cache(maxsize=2)
def frozen_trunk(model: str, blocks: int) -> LlamaTrunk:
    """Return the blocks of a model, read once in a process. Raises UserError."""
    trunk = LlamaTrunk(open_model(model), blocks)
    trunk.trainable = False
    return trunk


@functools.lru_cache(maxsize=2)
def frozen_reader(model: str, blocks: int, length: int, words: str, skip: int) -> FrozenReader:
    """Return the reader that all networks of a process share. Raises UserError."""
    prompt = Prompt(words, open_model(model).tokenizer.encode, skip)
    return FrozenReader(model, blocks, length, prompt)
