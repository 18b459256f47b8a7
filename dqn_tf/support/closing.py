"""Closing what was opened before something failed."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def closed_on_error() -> Iterator[contextlib.ExitStack]:
    """Give a stack for what is opened one after the other: an error closes it, nothing else does.

    with closed_on_error() as opened:
        opened.callback(first.close)
        second = make_second()
    """
    with contextlib.ExitStack() as opened:
        yield opened
        opened.pop_all()
