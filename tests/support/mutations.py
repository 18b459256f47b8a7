"""Functions with mistakes made in their own source."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest


def mutated(function: Callable, *replacements: tuple[str, str]) -> Callable:
    """The function with pieces of its own source replaced.

    The source is the unparsed tree: one statement a line and no comments, however the file is
    formatted. AssertionError if a piece is not there exactly once.
    """
    name = function.__qualname__
    source = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    for old, new in replacements:
        piece = old.replace('"', "'")  # as the unparsed tree writes strings
        count = source.count(piece)
        assert count == 1, f"{name} holds {count} times: {piece}"
        source = source.replace(piece, new)
    # Outside its class, super() must be told where it is.
    source = source.replace("super()", f"super({name.split('.')[0]}, self)")
    source = f"from __future__ import annotations\n{source}"
    namespace = dict(function.__globals__)
    exec(compile(source, f"<mutated {name}>", "exec"), namespace)
    return namespace[function.__name__]


def require_notice(monkeypatch: pytest.MonkeyPatch, mutation: tuple) -> None:
    """AssertionError unless the oracle notices.

    A mutation is owner, attribute, oracle, and pairs of a piece of the source and its replacement.
    """
    owner, attribute, oracle, *replacements = mutation
    original: Any = getattr(owner, attribute)
    mutant = mutated(original, *replacements)
    modules = [module for name, module in sys.modules.items() if name.startswith("dqn_tf.")]
    for place in (owner, *modules):
        if getattr(place, attribute, None) is original:  # wherever it was imported by name, too
            monkeypatch.setattr(place, attribute, mutant)
    with pytest.raises(AssertionError):
        oracle()
