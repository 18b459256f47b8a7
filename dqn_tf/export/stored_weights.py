"""The variables that an export holds, some of them in half as many bytes."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


class StoredWeights:
    """What is stored of variables: themselves, or of the `halved` ones float16.

    A function that is traced by `reading` reads those as float32, so the graph computes as before,
    with weights that are rounded. A table of embeddings is read as float16: its rows in use are
    cast, not all of it.
    """

    def __init__(self, halved: Sequence[Any] = ()) -> None:
        self._halved = {
            id(one): (
                one,
                tf.Variable(tf.cast(_plain(one), tf.float16), trainable=False, name=one.name),
            )
            for one in halved
        }

    def of(self, variable: Any) -> tf.Variable:
        """Return what is stored of a Keras variable."""
        if id(variable) in self._halved:
            return self._halved[id(variable)][1]
        return _plain(variable)

    def reading(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, which reads what is stored."""
        if not self._halved:
            return function

        @functools.wraps(function)
        def read(*arguments: Any) -> Any:
            with self._scope():
                return function(*arguments)

        return read

    def _scope(self) -> contextlib.AbstractContextManager[Any]:
        scope: Any = tf.keras.StatelessScope()
        for variable, stored in self._halved.values():
            value = tf.convert_to_tensor(stored)
            whole = value if _is_table(variable) else tf.cast(value, tf.float32)
            scope.add_update((variable, whole))
        entered: contextlib.AbstractContextManager[Any] = scope
        return entered


def _is_table(variable: Any) -> bool:
    return bool(variable.name == "embedding")


def _plain(variable: Any) -> tf.Variable:
    """Return TensorFlow's variable of a Keras one."""
    return variable if isinstance(variable, tf.Variable) else variable.value
