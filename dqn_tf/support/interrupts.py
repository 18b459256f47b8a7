"""SIGINT, SIGTERM and SIGHUP as a request to stop, which a run answers between two blocks."""

import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn


class Interrupted(Exception):
    """Says that a signal has come; `Interrupts.check` raises it."""


def answer_signals(work: "Callable[[Interrupts], int | None]", stopped: str) -> NoReturn:
    """Do a command's work and exit with the status that it returns, None being 0.

    After a signal, which `work` notices by `Interrupts.check`, print the sentence `stopped` and
    exit with 130, 143 or 129.
    """
    status = None
    with Interrupts() as interrupts:
        try:
            status = work(interrupts)
        except Interrupted:
            print(stopped)
    sys.exit(interrupts.exit_status or status or 0)


class Interrupts:
    """Remembers the first SIGINT, SIGTERM or SIGHUP; a second one ends the process at once.

    It does so while it is entered. The exit status of an answered signal is 128 plus its number:
    130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP, which comes when a terminal is closed. A
    SIGHUP that the process was told to ignore, as `nohup` does, stays ignored.
    """

    signal: int | None = None

    def __enter__(self) -> "Interrupts":
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._handlers = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise Interrupted if a signal has come.

        Environments may have put handlers of their own in place meanwhile, as graphical toolkits
        do; here ours are put back.
        """
        if self.signal is not None:
            raise Interrupted
        for number in self._handlers:
            if signal.getsignal(number) != self._receive:
                signal.signal(number, self._receive)

    @property
    def exit_status(self) -> int:
        """0 without a signal, else what a shell expects of a process that the signal ended."""
        return 0 if self.signal is None else 128 + self.signal

    def _receive(self, number: int, _: object) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
