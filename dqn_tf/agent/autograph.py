"""Where TensorFlow's AutoGraph reads source code: our loops over tensors, and what users write.

AutoGraph rewrites Python's `if` and `while` over tensors. In an update it would spend a second on
reading some forty functions, of which all but one have nothing to rewrite.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any, cast

import tensorflow as tf

from dqn_tf.support.errors import UsersCode

LIBRARIES = ("dqn_tf.", "keras.", "tf_keras.")


def compile_loops(
    program: Callable, jit_compile: bool
) -> tf.types.experimental.PolymorphicFunction:
    """Compile a method whose own `if` and `while` may ask tensors, but not those it calls."""
    method = cast(MethodType, program)
    function = tf.autograph.to_graph(method.__func__, recursive=False)
    bound = MethodType(function, method.__self__)
    return tf.function(bound, jit_compile=jit_compile, autograph=False)


def read_users_code(function: Callable, author: Any) -> Callable:
    """Let AutoGraph read `function`, unless `author`, a class or function, is a library's.

    What it raises becomes a UserError that names the author.
    """
    module = getattr(author, "__module__", type(author).__module__)
    if module.startswith(LIBRARIES):
        return function

    def call(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    read = tf.autograph.to_graph(call)
    name = getattr(author, "__name__", type(author).__name__)  # a partial has none
    users_code = UsersCode(f"{module}:{name}")

    def guarded(*arguments: Any, **options: Any) -> Any:
        with users_code:
            return read(*arguments, **options)

    return guarded
