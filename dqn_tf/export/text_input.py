"""Makes tokens of texts inside a graph, as `envs.tokenizer` does in Python.

Only operations of TensorFlow's core are used, so that every server of SavedModels runs it.
"""

import tensorflow as tf

from dqn_tf.envs.tokenizer import FOLDS, PATTERNS, Tokenizer

NO_TOKEN = -1
UNCHANGED = -1


class TextInput(tf.Module):
    """Texts [B] string, and the texts of their choices [B, K] → observations, a tokenizer's.

    An empty choice is none, and there may be fewer than the tokenizer has room for. Bytes that are
    no UTF-8 become U+FFFD. INVALID_ARGUMENT are more choices than there is room for, and a part
    without a token where the tokenizer has none for what is unknown.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        fold = FOLDS[tokenizer.kind]
        unknown = NO_TOKEN if tokenizer.unknown is None else tokenizer.unknown
        # attributes, so that they are saved with the module
        self._folded = _table(list(fold), list(fold.values()), tf.int32, UNCHANGED)
        names = list(tokenizer.number)
        self._numbers = _table(names, list(tokenizer.number.values()), tf.string, unknown)

    @property
    def reads_choices(self) -> bool:
        """Whether choices are told as texts."""
        return bool(self._tokenizer.choices)

    def __call__(self, text: tf.Tensor, choices: tf.Tensor | None = None) -> tf.Tensor:
        """Return the last T tokens of each text, and the first L of each of its choices."""
        tokenizer = self._tokenizer
        text = tf.ensure_shape(text, (None,))
        tokens = self._padded(self._read(text)[:, -tokenizer.length :], tokenizer.length)
        if choices is None:
            return tokens
        length = tokenizer.choice_tokens
        choices = self.with_all_places(choices)
        read = self._read(tf.reshape(choices, [-1]))[:, :length]
        beside = tf.reshape(self._padded(read, length), (-1, tokenizer.choices * length))
        return tf.concat([tokens, beside], axis=1)

    def with_all_places(self, choices: tf.Tensor) -> tf.Tensor:
        """Return choices [B, K] as [B, C], with empty texts behind them."""
        room = self._tokenizer.choices
        choices = tf.ensure_shape(choices, (None, None))
        count = tf.shape(choices)[1]
        fits = tf.debugging.assert_less_equal(
            count, room, f"choices has more columns than the {room} that there is room for"
        )
        with tf.control_dependencies([fits]):
            missing = tf.fill((tf.shape(choices)[0], tf.maximum(room - count, 0)), "")
        return tf.ensure_shape(tf.concat([choices, missing], axis=1), (None, room))

    def _read(self, text: tf.Tensor) -> tf.RaggedTensor:
        """Return the numbers of all tokens of texts [N]."""
        codes = tf.strings.unicode_decode(text, "UTF-8")  # [N, characters]
        folded = tf.ragged.map_flat_values(self._fold, codes)
        # each part with a space behind it, and nothing else between the spaces
        pattern = f"({PATTERNS[self._tokenizer.kind]})"
        marked = tf.strings.regex_replace(
            tf.strings.unicode_encode(folded, "UTF-8"), pattern, r"\1 "
        )
        parts = tf.strings.split(marked)  # [N, parts]
        return tf.ragged.map_flat_values(self._look_up, parts)

    def _padded(self, numbers: tf.RaggedTensor, length: int) -> tf.Tensor:
        """Return [N, length] of at most so many numbers."""
        tokens = numbers.to_tensor(self._tokenizer.padding, shape=(None, length))
        return tf.cast(tokens, self._tokenizer.dtype)

    def _fold(self, codes: tf.Tensor) -> tf.Tensor:
        found = self._folded.lookup(codes)
        return tf.where(found == UNCHANGED, codes, found)

    def _look_up(self, parts: tf.Tensor) -> tf.Tensor:
        numbers = self._numbers.lookup(parts)
        if self._tokenizer.unknown is not None:
            return numbers
        is_missing = numbers == NO_TOKEN
        about = "text holds a token that the vocabulary does not have:"
        missing = tf.boolean_mask(parts, is_missing)[:1]
        known = tf.debugging.Assert(~tf.reduce_any(is_missing), [about, missing])
        with tf.control_dependencies([known]):
            return tf.identity(numbers)


def _table(
    keys: list, values: list[int], dtype: tf.DType, default: int
) -> tf.lookup.StaticHashTable:
    """Return a table from keys of this type to int32."""
    initializer = tf.lookup.KeyValueTensorInitializer(keys, values, dtype, tf.int32)
    return tf.lookup.StaticHashTable(initializer, default)
