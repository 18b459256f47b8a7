"""Bounds on the work at hand: how many requests, how many bytes, and how much Python at a time.

HTTP and gRPC share them, and any thread may use them.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from dqn_tf.serving.errors import ServingError

# The interpreter runs one thread at a time. If many had long work to do, each would wait long for
# its next turn, and so would the event loop, which answers everybody.
HEAVY_THREADS = 1  # and one more for large requests
# a request with more bytes is heavy: it takes its turn
HEAVY_BYTES = 16 << 10
# a request with more bytes is large: one of them is at work at a time
LARGE_BYTES = 1 << 20
# between two threads' turns, while one has long work to do; Python's own 5 ms cost less otherwise
QUICK_SWITCH_SECONDS = 1e-4
# of --max_request_bytes, which all large requests may hold: what all others may hold
SHARE_OF_OTHERS = 0.25


class Places:
    """As many places as requests may be at work in threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take a place. Raises RESOURCE_EXHAUSTED if there is none."""
        with self._lock:
            if self._taken >= self._limit:
                raise ServingError(
                    "RESOURCE_EXHAUSTED", f"More than {self._limit} requests at once; try again"
                )
            self._taken += 1

    def free(self) -> None:
        """Free a place."""
        with self._lock:
            self._taken -= 1


class ByteBudget:
    """The bytes of requests and replies that may be in memory at a time.

    Those of large ones are counted apart, so that a few of them never keep the others out.
    """

    def __init__(self, limit: int, limit_of_large: int) -> None:
        self._limits = {False: limit, True: limit_of_large}
        self._claimed = {False: 0, True: 0}
        self._lock = threading.Lock()

    def claim(self) -> "Claim":
        """Return a claim that holds nothing yet."""
        return Claim(self)

    def move(self, before: int, after: int) -> None:
        """Change one claim from `before` to `after` bytes. Raises RESOURCE_EXHAUSTED.

        One alone may have any size.
        """
        was_large = before > LARGE_BYTES
        is_large = after > LARGE_BYTES
        with self._lock:
            others = self._claimed[is_large] - (before if was_large == is_large else 0)
            if after > before and others > 0 and others + after > self._limits[is_large]:
                raise ServingError(
                    "RESOURCE_EXHAUSTED",
                    "Requests with too many bytes are at work already; try again",
                )
            self._claimed[was_large] -= before
            self._claimed[is_large] += after


class Claim:
    """The bytes that one request holds. Up to HEAVY_BYTES they are free of charge.

    They are given back when the last who keeps the claim has released it.
    """

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._held = 0
        self._charged = 0
        self._keepers = 1
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        """Claim further bytes. Raises RESOURCE_EXHAUSTED."""
        self.set(self._held + size)

    def set(self, size: int) -> None:
        """Claim as many bytes as this in all. Raises RESOURCE_EXHAUSTED."""
        charged = size if size > HEAVY_BYTES else 0
        if charged == self._charged == 0:
            self._held = size
            return
        with self._lock:
            self._budget.move(self._charged, charged)
            self._charged = charged
            self._held = size

    def keep(self) -> None:
        """Keep the bytes, too: for a thread that works on after its client was answered."""
        with self._lock:
            self._keepers += 1

    def release(self) -> None:
        """Give the claim up."""
        with self._lock:
            self._keepers -= 1
            if self._keepers == 0 and self._charged > 0:
                self._budget.move(self._charged, 0)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Workload:
    """What HTTP and gRPC share of a server's capacity."""

    def __init__(self, max_request_bytes: int) -> None:
        share = int(SHARE_OF_OTHERS * max_request_bytes)
        self.bytes = ByteBudget(share, limit_of_large=max_request_bytes)
        self._heavy = threading.Semaphore(HEAVY_THREADS)
        self._large = threading.Semaphore(1)
        self._quick_switches = QuickSwitches()

    @contextlib.contextmanager
    def turn(self, size: int, deadline: float | None) -> Iterator[None]:
        """Wait for the turn of a request with `size` bytes, which lasts as long as the context.

        Raises DEADLINE_EXCEEDED if the turn does not come before the deadline, a
        time.monotonic().
        """
        if size <= HEAVY_BYTES:
            yield
            return
        semaphore = self._large if size > LARGE_BYTES else self._heavy
        seconds = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not semaphore.acquire(timeout=seconds):
            raise ServingError(
                "DEADLINE_EXCEEDED", "The time was over before it was this request's turn"
            )
        try:
            with self._quick_switches:
                yield
        finally:
            semaphore.release()


class QuickSwitches:
    """Lets threads take turns more often for as long as one of them has long work to do.

    The event loop gives its turn away at each read and write, and waits so long for the next.
    """

    def __init__(self) -> None:
        self._users = 0
        self._usual_seconds = sys.getswitchinterval()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            sys.setswitchinterval(QUICK_SWITCH_SECONDS)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                sys.setswitchinterval(self._usual_seconds)
