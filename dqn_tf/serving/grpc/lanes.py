"""Two lanes for calls, so that those that take long never hold up the quick ones.

Every call begins in the quick lane, where its message is read. One whose model takes long, or that
waits for something, changes to the slow lane for that. Each lane has room for --grpc_max_threads.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.workload import Places


class Lanes:
    """Who is in which lane. Each `deadline` is a time.monotonic()."""

    def __init__(self, width: int, most_slow: int) -> None:
        self._quick = threading.Semaphore(width)
        self._slow = threading.Semaphore(width)
        self._places = Places(most_slow)  # for those in the slow lane, or waiting for it

    @contextlib.contextmanager
    def quick(self, deadline: float | None) -> Iterator[None]:
        """Be in the quick lane for as long as the context lasts. Raises DEADLINE_EXCEEDED."""
        _acquire(self._quick, deadline)
        try:
            yield
        finally:
            self._quick.release()

    @contextlib.contextmanager
    def slow(self, deadline: float | None) -> Iterator[None]:
        """Change from the quick lane to the slow one for as long as the context lasts.

        Raises RESOURCE_EXHAUSTED if too many wait already, DEADLINE_EXCEEDED.
        """
        with self.aside():
            _acquire(self._slow, deadline)
            try:
                yield
            finally:
                self._slow.release()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the quick lane for as long as the context lasts. Raises RESOURCE_EXHAUSTED."""
        self._places.take()
        self._quick.release()
        try:
            yield
        finally:
            self._places.free()
            self._quick.acquire()


def _acquire(lane: threading.Semaphore, deadline: float | None) -> None:
    seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
    if not lane.acquire(timeout=seconds):
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before a thread was free")
