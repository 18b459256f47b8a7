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
from dqn_tf.language.memory import MOST_MESSAGES
from dqn_tf.language.model_files import open_model

AT_ONCE = 64  # texts that are read in one batch before a run
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
    longest = longest_of(read)
    # what is behind the longest is behind the end of all, and no token sees a later one
    return mean_of(states(tf.maximum(read[:, :longest], 0)), is_counted[:, :longest])


def longest_of(read: tf.Tensor) -> tf.Tensor:
    """Return how many tokens the longest of texts [N, T] has, at least 1."""
    counts = tf.reduce_sum(tf.cast(read >= 0, tf.int32), axis=1)
    return tf.maximum(tf.reduce_max(counts), 1)


def mean_of(states: tf.Tensor, is_counted: tf.Tensor) -> tf.Tensor:
    """Return the mean of the states [N, T, width] that count, [N, width]; 0 where none does."""
    weights = tf.cast(is_counted, tf.float32)
    total = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
    return tf.reduce_sum(states * weights[..., tf.newaxis], axis=1) / total


def read_directly(
    trunk: Any, messages: tf.Tensor, prompt: Prompt, changes: Sequence[Any] = ()
) -> tf.Tensor:
    """Return the features [N, width] of messages [N, L] by the model itself; see `of_different`.

    The last blocks have the `changes`.
    """

    def changed_states(tokens: tf.Tensor) -> tf.Tensor:
        return trunk.last_blocks(trunk.states(tokens, trunk.shape.layers - len(changes)), changes)

    def features(different: tf.Tensor) -> tf.Tensor:
        return features_of(changed_states if changes else trunk, different, prompt)

    return of_different(features, messages, trunk.shape.width)


def of_different(
    features: Callable[[tf.Tensor], tf.Tensor], messages: tf.Tensor, width: int
) -> tf.Tensor:
    """Return the features [N, width] of messages [N, L]; equal ones are read once, empty ones not.

    Those of an empty message are 0.
    """
    is_there = tf.reduce_any(messages >= 0, axis=1)
    present = tf.boolean_mask(messages, is_there)
    different, number = tf.raw_ops.UniqueV2(x=present, axis=[0])
    different = tf.ensure_shape(different, (None, messages.shape[1]))
    places = tf.where(is_there)
    shape = tf.stack([tf.shape(messages)[0], width])
    rows = tf.gather(features(different), number)
    return tf.scatter_nd(places, rows, tf.cast(shape, tf.int64))


class FrozenReader:
    """A language model whose weights never change, with a table of what it has read.

    All networks of a process share it: it is no part of their weights.

    Attributes:
      trunk: the model's blocks in use, or any other layer from tokens [B, T] to states.
      table: features of the messages so far.
      length: tokens of a message.
    """

    def __init__(self, trunk: Any, length: int, prompt: Prompt, room: int = MOST_MESSAGES) -> None:
        self.trunk = trunk
        self.length = length
        self.prompt = prompt
        self.width = self.trunk.shape.width
        one = tf.TensorSpec((1, length), tf.int32)
        encode = tf.function(self._encode, input_signature=[one], autograph=False)
        self.table = FeatureTable(encode, length, self._numbers, room)
        self._is_exported = False

    @property
    def _numbers(self) -> int:
        """How many numbers are kept of a message."""
        return self.width

    def _encode(self, message: tf.Tensor) -> tf.Tensor:
        """Return what is kept of one message [1, L]."""
        return features_of(self.trunk, message, self.prompt)

    def __call__(self, messages: tf.Tensor, changes: Sequence[Any] = ()) -> tf.Tensor:
        """Return the features [N, width] of messages [N, L] int32, negative behind their end.

        The last blocks have the `changes`.
        """
        if self._is_exported:
            return read_directly(self.trunk, messages, self.prompt, changes)
        return self._from_table(messages, changes)

    def _from_table(self, messages: tf.Tensor, changes: Sequence[Any]) -> tf.Tensor:
        assert not changes, "features that are kept cannot be changed"
        return tf.stop_gradient(self.table.read(messages))

    @contextlib.contextmanager
    def without_table(self) -> Iterator[None]:
        """Read messages by the model itself while this lasts: what an export does."""
        self._is_exported = True
        try:
            yield
        finally:
            self._is_exported = False


class StreamReader(FrozenReader):
    """A language model whose last blocks are changed, and all before them are read once.

    The table keeps the stream of each message where the first changed block begins: only the
    changed blocks are left to be read again, in as many tokens as the longest message has.
    """

    def __init__(
        self, trunk: LlamaTrunk, length: int, prompt: Prompt, room: int, changed: int
    ) -> None:
        self.at = trunk.shape.layers - changed
        super().__init__(trunk, length, prompt, room)

    @property
    def _numbers(self) -> int:
        return self.prompt.places(self.length) * self.width

    def _encode(self, message: tf.Tensor) -> tf.Tensor:
        read, _ = self.prompt.around(message)
        longest = longest_of(read)
        stream = self.trunk.states(tf.maximum(read[:, :longest], 0), self.at)
        rest = self.prompt.places(self.length) - longest
        return tf.reshape(tf.pad(stream, [(0, 0), (0, rest), (0, 0)]), (1, self._numbers))

    def _from_table(self, messages: tf.Tensor, changes: Sequence[Any]) -> tf.Tensor:
        def features(different: tf.Tensor) -> tf.Tensor:
            read, is_counted = self.prompt.around(different)
            longest = longest_of(read)
            shape = (-1, self.prompt.places(self.length), self.width)
            stream = tf.reshape(self.table.read(different), shape)
            stream = tf.stop_gradient(stream[:, :longest])
            return mean_of(self.trunk.last_blocks(stream, changes), is_counted[:, :longest])

        return of_different(features, messages, self.width)


def standard(
    read: Callable[[tf.Tensor], tf.Tensor], tokenizer: BytePairs, texts: Sequence[str], length: int
) -> np.ndarray:
    """Return mean and deviation of each feature over texts, [2, width]."""
    texts = list(dict.fromkeys(texts or PLAIN_TEXTS))
    messages = np.full((len(texts), length), -1, np.int32)
    for row, text in enumerate(texts):
        tokens = tokenizer.encode(text)[-length:]
        messages[row, : len(tokens)] = tokens
    parts = [messages[start : start + AT_ONCE] for start in range(0, len(messages), AT_ONCE)]
    features = np.concatenate([read(tf.constant(part)).numpy() for part in parts])
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
    return FrozenReader(frozen_trunk(model, blocks), length, _prompt(model, words, skip))


@functools.lru_cache(maxsize=2)
def stream_reader(
    model: str, blocks: int, length: int, words: str, skip: int, room: int, changed: int
) -> StreamReader:
    """Return the reader of `changed` last blocks that all networks share. Raises UserError."""
    prompt = _prompt(model, words, skip)
    return StreamReader(frozen_trunk(model, blocks), length, prompt, room, changed)


def _prompt(model: str, words: str, skip: int) -> Prompt:
    return Prompt(words, open_model(model).tokenizer.encode, skip)
