"""Two lanes for calls, so that those that take long never hold up the quick ones.

A message that is not short is read in the quick lane. A call whose model takes long, or that waits
for something, leaves it, and is in the slow lane for that. Each has room for --grpc_max_threads.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.workload import Places


class Lanes:
    """The room in both lanes."""

    def __init__(self, width: int, most_slow: int) -> None:
        self.quick_room = threading.Semaphore(width)
        self.slow_room = threading.Semaphore(width)
        self.places = Places(most_slow)  # for those in the slow lane, or waiting for it


class Lane:
    """Where one call is: at first in neither lane. Each `deadline` is a time.monotonic()."""

    __slots__ = ("_is_quick", "_lanes")

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._is_quick = False

    @contextlib.contextmanager
    def quick(self, deadline: float | None) -> Iterator[None]:
        """Be in the quick lane for as long as the context lasts. Raises DEADLINE_EXCEEDED."""
        with _room(self._lanes.quick_room, deadline):
            self._is_quick = True
            try:
                yield
            finally:
                self._is_quick = False

    @contextlib.contextmanager
    def slow(self, deadline: float | None) -> Iterator[None]:
        """Be in the slow lane, and not in the quick one, for as long as the context lasts.

        Raises RESOURCE_EXHAUSTED if too many wait already, DEADLINE_EXCEEDED.
        """
        with self.aside(), _room(self._lanes.slow_room, deadline):
            yield

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Be in neither lane for as long as the context lasts. Raises RESOURCE_EXHAUSTED."""
        self._lanes.places.take()
        if self._is_quick:
            self._lanes.quick_room.release()
        try:
            yield
        finally:
            self._lanes.places.free()
            if self._is_quick:
                self._lanes.quick_room.acquire()


@contextlib.contextmanager
def _room(room: threading.Semaphore, deadline: float | None) -> Iterator[None]:
    seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
    if not room.acquire(timeout=seconds):
        raise ServingError("DEADLINE_EXCEEDED", "The time was over before a thread was free")
    try:
        yield
    finally:
        room.release()
