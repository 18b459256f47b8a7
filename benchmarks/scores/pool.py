"""Several worker processes at a list of runs."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dqn_tf.config.dqn_config import DQNConfig

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def run(jobs: Sequence[DQNConfig], processes: int) -> Iterator[tuple[DQNConfig, dict[str, Any]]]:
    """Does all jobs, and yields each with its result as it ends; a job that failed has the one
    entry `error`, a sentence.

    If the consumer stops early, the running jobs are ended.
    """
    waiting: queue.SimpleQueue[DQNConfig] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[DQNConfig, dict[str, Any]]] = queue.SimpleQueue()
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

    A process that dies is started anew for the next job.
    """

    def __init__(self, waiting: queue.SimpleQueue, done: queue.SimpleQueue) -> None:
        self._waiting, self._done, self._process, self._ended = waiting, done, None, False
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.terminate()
                self._process.wait()

    def _serve(self) -> None:
        while not self._ended:
            try:
                job = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._done.put((job, self._ask(job)))

    def _ask(self, job: DQNConfig) -> dict[str, Any]:
        with self._lock:
            if self._ended:
                return {"error": "not run"}
            if self._process is None:
                path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.scores.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
                )
        process = self._process
        try:
            process.stdin.write(json.dumps(job.to_dict()) + "\n")
            process.stdin.flush()
            reply = process.stdout.readline()
        except OSError:
            reply = ""
        if reply:
            return json.loads(reply)
        self._process = None
        return {"error": f"its process ended with status {process.wait()} before the run did"}
