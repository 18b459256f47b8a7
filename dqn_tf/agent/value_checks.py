"""Looks at values inside a graph, which then raises a sentence before anything is computed of them.

Nothing here works under XLA, which leaves out what may fail.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.column import Batch, Column
from dqn_tf.support.errors import UserError

# around a sentence that the graph raises, so that it is found among TensorFlow's own words
SENTENCE = re.compile(r"<sentence>(.*?)</sentence>", re.DOTALL)


@contextlib.contextmanager
def plain_sentences() -> Iterator[None]:
    """Raise the bare sentence of what Keras and TensorFlow wrap in their own words."""
    try:
        yield
    except UserError as error:
        raise UserError(str(_innermost(error))) from error
    except tf.errors.InvalidArgumentError as error:
        found = SENTENCE.search(str(error))
        if found is None:
            raise
        raise UserError(found[1]) from error


def _innermost(error: BaseException) -> BaseException:
    """Return the error that was raised first, of those that became one another."""
    while isinstance(error.__context__, UserError):
        error = error.__context__
    return error


def of_one_length(tensors: Batch, names: list[str]) -> Batch:
    """Return the tensors; the graph looks whether they have as many rows, where it must."""
    if all(tensors[name].shape.rank and tensors[name].shape[0] is not None for name in names):
        return tensors
    lengths = tf.stack([tf.shape(tensors[name])[0] for name in names])

    def fail() -> tf.Operation:
        sentence = f"The columns {', '.join(names)} have different numbers of rows: {{}}."
        return _raise_sentence(tf.strings.format(sentence, lengths))

    with _after(tf.reduce_all(tf.equal(lengths, lengths[0])), fail):
        return {name: tf.identity(tensor) for name, tensor in tensors.items()}


def of_shape(name: str, tensor: tf.Tensor, column: Column) -> tf.Tensor:
    """Return the tensor, its shape looked at in the graph where the graph does not know it."""
    shape = (None, *column.shape)
    if tensor.shape.rank is not None and tensor.shape[1:].is_fully_defined():
        return tensor
    found = tf.shape(tensor)
    is_right = tf.cond(
        tf.equal(tf.size(found), len(shape)),
        lambda: tf.reduce_all(tf.equal(found[1:], tf.constant(column.shape, tf.int32))),
        lambda: tf.constant(False),
    )

    def fail() -> tf.Operation:
        sentence = f"The column {name} is {tensor.dtype.name} {{}}; it must be {column}."
        return _raise_sentence(tf.strings.format(sentence, found))

    with _after(is_right, fail):
        return tf.ensure_shape(tf.identity(tensor), shape)


def within_range(name: str, tensor: tf.Tensor, column: Column) -> tf.Tensor:
    """Return the tensor, which is not to be had before its values were found to be in range."""
    if tensor.dtype.is_bool:
        return tensor
    if tensor.dtype.is_integer:
        # compared as they are: a cast to int32 would bring 2**32 + 1 into range
        numbers = tf.cast(tensor, tf.int64)
        low, high = (int(np.clip(end, -(2**62), 2**62)) for end in (column.low, column.high))
        is_right = (numbers >= low) & (numbers <= high)
    else:
        is_right = tf.math.is_finite(tensor) & (tensor >= column.low) & (tensor <= column.high)

    def fail() -> tf.Operation:
        row = tf.where(~is_right)[0]  # [rank]
        if np.isfinite(column.low) and np.isfinite(column.high):
            expected = f"from {column.low:.0f} to {column.high:.0f}"
        else:
            expected = "a finite number" + (" of at least 0" if column.low == 0 else "")
        sentence = (
            f"The column {name} holds the value {{}} in row {{}} of a batch; it must be"
            f" {expected}{column.in_words}."
        )
        return _raise_sentence(tf.strings.format(sentence, (tf.gather_nd(tensor, row), row[0])))

    with _after(tf.reduce_all(is_right), fail):
        return tf.identity(tensor)


def _after(is_right: tf.Tensor, fail: Callable[[], tf.Operation]) -> Any:
    """Return a context whose tensors are not to be had before `fail` had its chance.

    `fail` runs only where it is needed, since a sentence costs more than the look.
    """
    check = tf.cond(is_right, tf.no_op, fail)
    return tf.control_dependencies([] if check is None else [check])


def _raise_sentence(sentence: tf.Tensor) -> tf.Operation:
    marked = tf.strings.join(["<sentence>", sentence, "</sentence>"])
    return tf.debugging.Assert(False, [marked])
