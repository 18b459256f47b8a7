"""Threads for what the event loop must not do itself.

What may take long, since its time depends on more than its size, has threads of its own. So has
what is large.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from dqn_tf.serving.workload import LARGE_BYTES, Places

Result = TypeVar("Result")


class Lane:
    """Some threads, and places for those who are at work in them or wait for them."""

    def __init__(self, name: str, threads: int, most: int) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._places = Places(most)

    def submit(self, work: Callable[[], Result]) -> "Future[Result]":
        """Run `work` in a thread. Raises RESOURCE_EXHAUSTED if there is no place."""
        return self.follow(lambda: self._threads.submit(work))

    def follow(self, start: Callable[[], "Future[Result]"]) -> "Future[Result]":
        """Take a place until the future that `start` returns is done.

        Raises RESOURCE_EXHAUSTED if there is none.
        """
        self._places.take()
        try:
            future = start()
        except BaseException:
            self._places.free()
            raise
        future.add_done_callback(self._free)
        return future

    def _free(self, _: "Future[Any]") -> None:
        self._places.free()


class Lanes(NamedTuple):
    """The lanes."""

    quick: Lane
    slow: Lane
    large: Lane

    def of(self, size: int, is_bounded: bool = True) -> Lane:
        """Return the lane for a request of so many bytes, whose time they bound or not."""
        if not is_bounded:
            return self.slow
        return self.large if size > LARGE_BYTES else self.quick


def make(threads: int, most: int) -> Lanes:
    """Return lanes with so many threads, and places for as many requests at most, each."""
    quick, slow = (Lane(name, threads, most) for name in ("rest-quick", "rest-slow"))
    return Lanes(quick, slow, Lane("rest-large", 1, most))
