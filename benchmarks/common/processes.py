"""Python programs that carry out orders: one JSON object a line goes in, one comes out.

The program itself uses `Orders`; the process that starts it holds a `Child`. Standard library only,
so that a program can run under the interpreter of another project.
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dqn_tf.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SECONDS_TO_END = 20  # after SIGTERM; then SIGKILL
ChildType = TypeVar("ChildType", bound="Child")


class Child:
    """A running `python -m MODULE`; ended at the end of its `with`.

    What it writes to stderr is kept, and its last line is part of an error's sentence. `cpus` are
    the cores that it may use, empty for all.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        python: str | None = None,
        variables: Mapping[str, str] | None = None,
        cpus: frozenset[int] = frozenset(),
    ) -> None:
        self._module = module
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        with _pinned(cpus):  # inherited before the child makes its first thread
            self.process = subprocess.Popen(
                [python or sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=environment(variables or {}),
            )
        self._pending = b""  # what was read beyond the last line

    def __enter__(self: ChildType) -> ChildType:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.close()

    def send(self, order: Mapping[str, Any]) -> None:
        """Give the program an order."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, as `line` will say
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()

    def line(self, seconds: float | None = None) -> str:
        """Wait for the program's next line.

        Raises UserError if the program ends, or writes nothing for `seconds`; None waits for ever.
        """
        assert self.process.stdout is not None
        deadline = None if seconds is None else time.monotonic() + seconds
        while b"\n" not in self._pending:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            readable, _, _ = select.select([self.process.stdout], [], [], left)
            if not readable:
                raise UserError(
                    f"{self._module} gave no answer for {seconds:.0f} s: {self._last_words()}"
                )
            received = os.read(self.process.stdout.fileno(), 1 << 16)
            if not received:
                raise self._ended()
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def receive(self, seconds: float | None = None) -> dict[str, Any]:
        """Wait for the answer to an order. Raises UserError as `line` does."""
        return json.loads(self.line(seconds))

    def ask(self, order: Mapping[str, Any], seconds: float | None = None) -> dict[str, Any]:
        """Give an order and wait for its answer. Raises UserError as `line` does."""
        self.send(order)
        return self.receive(seconds)

    def finish(self) -> None:
        """Say that no order follows and wait for the program's end.

        Raises UserError if its exit status is not 0.
        """
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.process.wait():
            raise self._ended()

    def stop(self) -> None:
        """End the program, whatever it is doing."""
        self.process.terminate()
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """Close the pipes and the log of a program that has ended."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._log.close()

    def _ended(self) -> UserError:
        status = self.process.wait()
        return UserError(f"{self._module} ended with status {status}: {self._last_words()}")

    def _last_words(self) -> str:
        self._log.seek(0)
        return last_line(self._log.read())


class Orders:
    """The orders to this program: they come on stdin, their answers go to stdout.

    Made before any library is loaded: from then on, whatever a library prints goes to stderr.
    """

    def __init__(self) -> None:
        self._replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def reply(self, answer: Mapping[str, Any]) -> None:
        """Write one answer."""
        self._replies.write(json.dumps(answer) + "\n")
        self._replies.flush()

    def carry_out(self, function: Callable[[dict[str, Any]], Mapping[str, Any]]) -> None:
        """Answer each order with `function(order)` until the input ends.

        A UserError is answered as `{"error": its sentence}`. The program never outlives the process
        that started it for long, because its input ends with that process.
        """
        for line in sys.stdin:
            try:
                answer = function(json.loads(line))
            except UserError as error:
                answer = {"error": str(error)}
            self.reply(answer)


def has_interpreter(variable: str, system: str = "") -> bool:
    """Tell whether an environment variable names an interpreter; say what is left out if not."""
    is_named = bool(os.environ.get(variable))
    if system and not is_named:
        print(f"{system} is left out: {variable} does not name the interpreter that has it.")
    return is_named


def ask_elsewhere(module: str, variable: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """Have the interpreter that an environment variable names run a module for one order.

    Raises UserError as `Child.line` does, and where the variable is not set.
    """
    python = os.environ.get(variable)
    if not python:
        raise UserError(f"{variable} is not set: name the interpreter for {module}.")
    with Child(module, python=python) as child:
        result = child.ask(order)
        child.finish()
    return result


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's variables, changed by `variables`, for a program of this checkout."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"} | dict(variables)


def last_line(log: str) -> str:
    """Return the last line of what a program wrote, which names the error."""
    lines = log.strip().splitlines()
    return lines[-1] if lines else "it wrote nothing"


@contextlib.contextmanager
def _pinned(cpus: frozenset[int]) -> Iterator[None]:
    """Restrict this process, and the children that it starts meanwhile, to these cores."""
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
