"""SIGINT and SIGTERM as a request that the run answers between two blocks."""

import os
import signal


class Interrupted(Exception):
    """Raised by `Interrupts.check` once a signal has come."""


class Interrupts:
    """While entered, the first SIGINT or SIGTERM is remembered; a second one ends the process at
    once.

    The exit status of an answered signal is 128 plus its number: 130 for SIGINT, 143 for SIGTERM.
    """

    signal: int | None = None

    def __enter__(self) -> "Interrupts":
        self._before = {
            number: signal.signal(number, self._receive)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self.signal is not None:
            raise Interrupted

    @property
    def exit_status(self) -> int:
        """0 if no signal came, else what a shell expects of a process that this signal ended."""
        return 0 if self.signal is None else 128 + self.signal

    def _receive(self, number: int, _) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
