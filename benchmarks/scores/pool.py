"""A pool of worker processes that carry out a list of runs."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.common import one_thread
from benchmarks.common.processes import Child
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError

Result = dict[str, Any]


def run(jobs: Sequence[DQNConfig], processes: int) -> Iterator[tuple[DQNConfig, Result]]:
    """Do all jobs, and yield each with its result as it ends.

    A job that failed has the one entry `error`, a sentence. If the consumer stops early, the
    running jobs are ended.
    """
    waiting: queue.SimpleQueue[DQNConfig] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[DQNConfig, Result]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    workers = [_Worker(waiting, done) for _ in range(min(processes, len(jobs)))]
    try:
        for _ in jobs:
            yield done.get()
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """One process, and the thread that hands it a job at a time.

    A process that dies is replaced for the next job.
    """

    def __init__(self, waiting: queue.SimpleQueue, done: queue.SimpleQueue) -> None:
        self._waiting = waiting
        self._done = done
        self._child: Child | None = None
        self._ended = False
        self._lock = threading.Lock()  # over `_child` and `_ended`
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        with self._lock:
            self._ended = True
            if self._child is not None:
                self._child.stop()
        self._thread.join()  # its process has ended, so it waits for nothing
        self._drop_child()

    def _serve(self) -> None:
        while not self._ended:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._done.put((job, self._ask(job)))

    def _ask(self, job: DQNConfig) -> Result:
        with self._lock:
            if self._ended:
                return {"error": "not run"}
            if self._child is None:
                self._child = Child("benchmarks.scores.worker", variables=one_thread.ENVIRONMENT)
            child = self._child
        try:
            return child.ask(job.to_dict())
        except UserError as error:
            self._drop_child()
            return {"error": str(error)}

    def _drop_child(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None
