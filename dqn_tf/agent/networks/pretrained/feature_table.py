"""Features of messages that were read once: a table in memory, filled inside the graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dqn_tf.language.memory import MOST_MESSAGES

MIXING = 19  # seed of the multipliers of the hash
MISSING = -1

Encode = Callable[[tf.Tensor], tf.Tensor]  # one message [1, L] → its features [1, width]


class FeatureTable:
    """Keeps what `encode` says of each message; it is asked once for each.

    A message is found by a hash of 64 bits of its tokens. `encode` gets every message alone, so its
    features do not depend on when and beside which others it was read: a table that was lost fills
    itself with the same bits. One that is full starts anew.

    Attributes:
      room: the most messages that are kept.
      features: [room, width] float32, a row for each message in the order of their arrival.
    """

    def __init__(self, encode: Encode, length: int, width: int, room: int = MOST_MESSAGES) -> None:
        self.room = room
        self.features = tf.Variable(tf.zeros((room, width)), trainable=False, name="features")
        self._rows = tf.lookup.experimental.MutableHashTable(tf.int64, tf.int64, MISSING)
        self._encode = encode
        # the sum of products with random numbers differs for two texts almost certainly (Carter and
        # Wegman 1979)
        high = np.iinfo(np.int64).max
        multipliers = np.random.default_rng(MIXING).integers(1, high, length) | 1
        self._multipliers = multipliers.astype(np.int64)
        messages = tf.TensorSpec((None, length), tf.int32)
        self._function = tf.function(self._read, input_signature=[messages], autograph=False)

    def __len__(self) -> int:
        """Return how many messages are kept."""
        return int(self._rows.size())

    @property
    def bytes(self) -> int:
        """The memory of all rows."""
        return 4 * int(np.prod(self.features.shape))

    def read(self, messages: tf.Tensor) -> tf.Tensor:
        """Return the features [N, width] of messages [N, L] int32."""
        features: tf.Tensor = self._function(messages)
        return features

    def _read(self, messages: tf.Tensor) -> tf.Tensor:
        return tf.cond(
            tf.shape(messages)[0] <= self.room,
            lambda: self._read_part(messages),
            lambda: self._read_in_parts(messages),
        )

    def _read_in_parts(self, messages: tf.Tensor) -> tf.Tensor:
        """Return the features of more messages than there is room for, as many at a time."""
        count = (tf.shape(messages)[0] + self.room - 1) // self.room

        def read_next(number: tf.Tensor, read: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = messages[number * self.room : (number + 1) * self.room]
            return number + 1, read.write(number, self._read_part(part))

        width = self.features.shape[1]
        parts = tf.TensorArray(tf.float32, count, element_shape=(None, width), infer_shape=False)
        _, parts = tf.while_loop(
            lambda number, read: number < count,
            read_next,
            (tf.constant(0), parts),
            parallel_iterations=1,
        )
        return parts.concat()

    def _read_part(self, messages: tf.Tensor) -> tf.Tensor:
        """Return the features of at most `room` messages."""
        keys = self._hash(messages)
        found = self._find(keys)
        is_filled = tf.cond(
            tf.reduce_any(found == MISSING),
            lambda: self._add(messages, keys),
            lambda: tf.constant(True),
        )
        with tf.control_dependencies([is_filled]):
            return self.features.sparse_read(self._find(keys))

    def rows(self) -> dict[str, np.ndarray]:
        """Return what is kept: hashes [N] int64 and features [N, width]."""
        keys, rows = (array.numpy() for array in self._rows.export())
        order = np.argsort(rows)
        return {"keys": keys[order], "features": self.features[: len(order)].numpy()}

    def restore(self, keys: np.ndarray, features: np.ndarray) -> None:
        """Keep what `rows` returned, and nothing else; nothing at all of a larger table."""
        self.clear()
        if len(keys) > self.room:
            return
        self.features.scatter_nd_update(np.arange(len(keys))[:, np.newaxis], features)
        self._rows.insert(keys, np.arange(len(keys), dtype=np.int64))

    def clear(self) -> None:
        """Forget all messages."""
        self._rows.remove(self._rows.export()[0])

    def _find(self, keys: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(self._rows.lookup(keys), (None,))

    def _hash(self, messages: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(messages, tf.int64) * self._multipliers, axis=1)

    def _add(self, messages: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Add those of the messages [N, L] that are missing; return True."""
        new, _ = tf.unique(tf.boolean_mask(keys, self._find(keys) == MISSING))
        is_full = self._rows.size() + tf.size(new, tf.int64) > self.room
        with tf.control_dependencies(
            [tf.cond(is_full, self._start_anew, lambda: tf.constant(True))]
        ):
            is_new = self._find(keys) == MISSING
        new, number = tf.unique(tf.boolean_mask(keys, is_new))  # [U]
        of_which = tf.boolean_mask(messages, is_new)
        count = tf.size(new)
        places = tf.math.unsorted_segment_min(tf.range(tf.size(number)), number, count)
        start = tf.cast(self._rows.size(), tf.int32)

        def add_one(done: tf.Tensor) -> tf.Tensor:
            place = places[done]
            features = self._encode(of_which[place : place + 1])
            self.features.scatter_nd_update([[start + done]], features)
            return done + 1

        done = tf.while_loop(
            lambda done: done < count, add_one, [tf.constant(0)], parallel_iterations=1
        )
        with tf.control_dependencies([done]):
            rows = tf.cast(start + tf.range(count), tf.int64)
        self._rows.insert(new, rows)
        return tf.constant(True)

    def _start_anew(self) -> tf.Tensor:
        self._rows.remove(self._rows.export()[0])
        return tf.constant(True)
