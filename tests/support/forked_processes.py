"""The processes that a benchmark starts, forked from it: they need not import TensorFlow again.

As safe as the fork that made the benchmark's own process, which runs no TensorFlow operation.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import ClassVar

Execute = Callable[[str, list[str]], int]  # program and its words: exit status


def fork_children(execute: Execute) -> None:
    """Makes `Child` fork where it would start this interpreter; `execute` runs in the fork."""
    from benchmarks.common import processes

    def popen(words: list[str], **options) -> "Forked | subprocess.Popen":
        if words[:2] != [sys.executable, "-m"]:  # the interpreter of another project
            return subprocess.Popen(words, **options)
        return Forked(execute, words[2:], options["stderr"].fileno(), options["env"])

    processes.subprocess = SimpleNamespace(
        Popen=popen, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )


class Forked:
    """What `Child` uses of `subprocess.Popen`, its pipes among that."""

    _pipes: ClassVar[list] = []  # this process's ends, which no child may hold open

    def __init__(
        self, execute: Execute, words: list[str], errors: int, environ: dict[str, str]
    ) -> None:
        orders, given = os.pipe()
        taken, answers = os.pipe()
        self.stdin, self.stdout = os.fdopen(given, "wb"), os.fdopen(taken, "rb", 0)
        self.returncode: int | None = None
        self._pipes += [self.stdin, self.stdout]
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            for pipe in self._pipes:
                if not pipe.closed:
                    os.close(pipe.fileno())
            for target, descriptor in enumerate((orders, answers, errors)):
                os.dup2(descriptor, target)
            for descriptor in (orders, answers):
                os.close(descriptor)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.environ.clear()
            os.environ.update(environ)
            os._exit(execute(words[0], words[1:]))
        os.close(orders)
        os.close(answers)

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = float("inf")) -> int:
        """Its exit status. Raises TimeoutExpired."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.005)
        return self.returncode

    def terminate(self) -> None:
        """Sends SIGTERM to a process that still runs."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL to a process that still runs."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)
