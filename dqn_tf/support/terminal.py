"""What a command writes to, which may be closed, full or gone: the command then goes on without it.

A long run must not be lost because a pager was quit, a terminal was closed, or the disk with its
log is full.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# what a reader that has gone leaves behind: a pipe without an end, a terminal that was hung up
GONE = (errno.EPIPE, errno.EIO)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Let no write to stdout or stderr raise OSError; characters that they lack are escaped.

    What cannot be written is lost. At the end, losing it for another reason than that nobody reads
    it any more makes an exit status of 0 a 1, with a sentence on stderr.
    """
    _open_standard_descriptors()
    before = sys.stdout, sys.stderr
    stdout = _Lasting(before[0], 1)
    stderr = _Lasting(before[1], 2)
    sys.stdout, sys.stderr = stdout, stderr
    try:
        yield
    except SystemExit as end:
        stdout.flush()
        if not end.code and stdout.error is not None and stdout.error.errno not in GONE:
            print(f"error: The output is lost: {stdout.error.strerror}.", file=sys.stderr)
            raise SystemExit(1) from None
        raise
    finally:
        stdout.flush()
        stderr.flush()
        sys.stdout, sys.stderr = before


class _Lasting:
    """A text stream that writes to nothing once a write has failed."""

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        if stream is None:  # the process was started without it
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
        self.error: OSError | None = None
        self._stream = stream
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._let_go(error)
            return len(text)

    def flush(self) -> None:
        """Bring what was written to its end."""
        try:
            self._stream.flush()
        except OSError as error:
            self._let_go(error)
            with contextlib.suppress(OSError):
                self._stream.flush()  # what was kept goes to nothing

    def _let_go(self, error: OSError) -> None:
        """Let the stream's descriptor lead to nothing, for libraries that write to it too."""
        if self.error is None:
            self.error = error
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self._descriptor)
        os.close(nothing)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_standard_descriptors() -> None:
    """Let descriptors 0 to 2 lead to nothing where the process was started without them.

    Else the next file that is opened, such as metrics.csv, would have the number of stderr, and
    libraries would print into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
            if nothing != descriptor:
                os.dup2(nothing, descriptor)
                os.close(nothing)
