"""Makes tokens of texts inside a graph, as `envs.tokenizer` does in Python.

Only operations of TensorFlow's core are used, so that every server of SavedModels runs it.
"""

import tensorflow as tf

from dqn_tf.envs.tokenizer import FOLDS, PATTERNS, Tokenizer

NO_TOKEN = -1
UNCHANGED = -1


class TextInput(tf.Module):
    """Texts [B] string → observations [B, T], a tokenizer's.

    Bytes that are no UTF-8 become U+FFFD. A part without a token is INVALID_ARGUMENT where the
    tokenizer has none for what is unknown.
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

    def __call__(self, text: tf.Tensor) -> tf.Tensor:
        """Return the last T tokens of each text, with padding behind them."""
        tokenizer = self._tokenizer
        text = tf.ensure_shape(text, (None,))
        codes = tf.strings.unicode_decode(text, "UTF-8")  # [B, characters]
        folded = tf.ragged.map_flat_values(self._fold, codes)
        # each part with a space behind it, and nothing else between the spaces
        marked = tf.strings.regex_replace(
            tf.strings.unicode_encode(folded, "UTF-8"), f"({PATTERNS[tokenizer.kind]})", r"\1 "
        )
        parts = tf.strings.split(marked)  # [B, parts]
        numbers = tf.ragged.map_flat_values(self._look_up, parts)
        last = numbers[:, -tokenizer.length :]
        tokens = last.to_tensor(tokenizer.padding, shape=(None, tokenizer.length))
        return tf.cast(tokens, tokenizer.dtype)

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
