"""What a language model reads in place of a message: the message within other words."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

TEXT = "{text}"  # where the message stands


class Prompt:
    """Puts messages into a text such as "{text}", or "{text} In other words: {text}".

    A causal model knows all of a message only behind its end. Read a second time, each of its words
    is understood in the light of the whole (Springer et al. 2024, "Repetition improves language
    model embeddings"), so what counts begins where the message stands for the last time.

    Attributes:
      words: the text.
      skip: of what counts, so many tokens are left out at the beginning, where there are more.
    """

    def __init__(self, words: str, encode: Callable[[str], list[int]], skip: int) -> None:
        self.words = words
        self.skip = skip
        self._parts = [np.array(encode(part), np.int32) for part in words.split(TEXT)]

    def places(self, length: int) -> int:
        """Return how many tokens there is room for, with messages of `length`."""
        return sum(map(len, self._parts)) + (len(self._parts) - 1) * length

    def around(self, messages: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Put the prompt around messages [N, L] int32, which are negative behind their end.

        Returns what is read, [N, T] int32, negative behind its end, and which of its tokens count,
        [N, T] bool. An empty message stays between the words of the prompt.
        """
        length = messages.shape[1]
        count = tf.reduce_sum(tf.cast(messages >= 0, tf.int32), axis=1, keepdims=True)  # [N, 1]
        place = tf.range(self.places(length))[tf.newaxis]  # [1, T]
        # all parts in a row, and the message behind them: [N, parts + L]
        parts = tf.constant(np.concatenate(self._parts), tf.int32)[tf.newaxis]
        row = tf.concat([tf.repeat(parts, tf.shape(messages)[0], axis=0), messages], axis=1)
        source = tf.zeros_like(place + count)
        begin, used = tf.zeros_like(count), 0
        for number, part in enumerate(self._parts):
            if number:
                start = begin
                source = tf.where(place >= begin, parts.shape[1] + place - begin, source)
                begin += count
            source = tf.where(place >= begin, used + place - begin, source)
            begin += len(part)
            used += len(part)
        is_read = place < begin
        read = tf.gather(row, tf.where(is_read, source, 0), axis=1, batch_dims=1)
        counted = begin - start  # [N, 1]
        first = start + tf.where(counted > self.skip, self.skip, 0)
        return tf.where(is_read, read, -1), is_read & (place >= first)
