"""What the server writes to: stdout and stderr may be closed, full or without a reader."""

import contextlib
import os
import sys
from typing import Any, TextIO


def survive_lost_output() -> None:
    """Let the process go on when stdout or stderr cannot be written to, or is not there."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # else the next socket would be what libraries print to
            _lead_to_nothing(descriptor)
    sys.stdout = _Survivor(sys.stdout, 1)
    sys.stderr = _Survivor(sys.stderr, 2)


class _Survivor:
    """A text stream that leads to nothing once a write has failed."""

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self._descriptor = descriptor
        if hasattr(self._stream, "reconfigure") and self._stream.errors == "strict":
            self._stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._let_go()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        _lead_to_nothing(self._descriptor)
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lead_to_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing != descriptor:
        os.dup2(nothing, descriptor)
        os.close(nothing)
