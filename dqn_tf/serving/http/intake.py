"""Bounds how much of what clients send is looked at in one turn of the event loop.

Otherwise some hundred clients that send much at the same time would hold up everybody else. The
first bytes of a request are always looked at, so that short requests never wait in line.
"""

import asyncio
from collections import deque
from collections.abc import Callable

SHORT_BYTES = 2 << 10  # of a request that are looked at at once
TURN_BYTES = 64 << 10  # of all others in one turn of the event loop


class Intake:
    """Says whose bytes may be looked at now; the others wait in line."""

    def __init__(self) -> None:
        self._left = TURN_BYTES
        self._line: deque[tuple[int, Callable[[], None]]] = deque()
        self._is_due = False

    def admits(self, size: int) -> bool:
        """Return True if so many bytes may be looked at in this turn."""
        if self._line or self._left <= 0:
            return False
        self._take(size)
        return True

    def line_up(self, size: int, start: Callable[[], None]) -> None:
        """Call `start` when so many bytes may be looked at."""
        self._line.append((size, start))

    def _take(self, size: int) -> None:
        self._left -= size
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        self._is_due = False
        self._left = TURN_BYTES
        while self._line and self._left > 0:
            size, start = self._line.popleft()
            self._take(size)
            start()
