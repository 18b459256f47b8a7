"""The threads in which gRPC's calls run."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("dqn_tf.serving")


class Threads:
    """Runs functions in up to `limit` threads; begins one when all others are at work.

    gRPC asks for a ThreadPoolExecutor and uses `submit` and `add_done_callback`. The executor makes
    a condition and takes seven locks for each call, a tenth of the time of a short one.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._jobs: queue.SimpleQueue[tuple[Job, Callable[..., Any], tuple]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._idle = 0  # threads that no job has been promised to; too many once all have begun

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Job":
        """Run function(*arguments) in a thread."""
        job = Job()
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            elif self._count < self._limit:
                self._count += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._jobs.put((job, function, arguments))
        return job

    def _work(self) -> None:
        while True:
            job, function, arguments = self._jobs.get()
            try:
                function(*arguments)
            except Exception as error:  # gRPC catches all of its own
                log.error("A call of gRPC failed", exc_info=error)
            job.end()
            del job, function, arguments  # they may keep a request in memory
            with self._lock:
                self._idle += 1


class Job:
    """A function that runs, or has ended."""

    __slots__ = ("_callbacks", "_has_ended")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[Job], Any]] = []
        self._has_ended = False

    def add_done_callback(self, callback: Callable[["Job"], Any]) -> None:
        """Call callback(job) when the function has ended, or now."""
        self._callbacks.append(callback)
        if self._has_ended:
            self._call_back()

    def end(self) -> None:
        """Note that the function has ended."""
        self._has_ended = True
        self._call_back()

    def _call_back(self) -> None:
        while self._callbacks:
            try:
                callback = self._callbacks.pop()
            except IndexError:  # the other thread was faster
                return
            callback(self)
