"""Writes served requests as TFRecord of PredictionLog, the format of TF Serving's own request
logger: `--log_requests=DIR`.

A request only puts its arrays into a queue; a thread turns them into records. What does not fit
into the queue is dropped and counted, so that a slow disk never makes a client wait.
"""

import collections
import functools
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from dqn_tf.serving.models.signature import count_bytes
from dqn_tf.serving.record_files import RecordFiles

MAX_QUEUED_REQUESTS = 4096
MAX_QUEUED_BYTES = 64 << 20
QUIET_SECONDS = 60  # between two messages about requests that are dropped

Arrays = Mapping[str, np.ndarray]


class ServedRequest(NamedTuple):
    """One successful predict request."""

    model_name: str
    version: int
    signature_name: str
    inputs: Arrays
    outputs: Arrays
    request_id: bytes

    def size(self) -> int:
        """Return the bytes of its arrays and its id."""
        return count_bytes(self.inputs) + count_bytes(self.outputs) + len(self.request_id)


class RequestLog:
    """An observer of served requests; `written` and `dropped` count them. Any thread may call it.

    `directory` holds at most `max_bytes` of record files, those of earlier servers counted. Each
    request is written with probability `sample`, above 0 and at most 1. Raises OSError if the
    directory cannot be made, or written to.
    """

    def __init__(self, directory: Path, max_bytes: int, sample: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass  # so that it is known before anything is served
        self.written = 0
        self.dropped = 0
        self._sample = sample
        self._generator = np.random.default_rng()
        self._files = RecordFiles(directory, max_bytes)
        self._queue: collections.deque[ServedRequest] = collections.deque()
        self._queued_bytes = 0
        self._unflushed = 0
        self._is_closing = False
        self._quiet_until = 0.0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._thread.start()

    def __call__(
        self,
        model_name: str,
        version: int,
        signature_name: str,
        inputs: Arrays,
        outputs: Arrays,
        request_id: bytes = b"",
    ) -> None:
        """Queue one successful predict request; its arrays must not change afterwards."""
        request = ServedRequest(model_name, version, signature_name, inputs, outputs, request_id)
        size = request.size()
        with self._changed:
            if self._is_closing or self._generator.random() >= self._sample:
                return
            # An empty queue takes a request of any size.
            is_too_large = bool(self._queue) and self._queued_bytes + size > MAX_QUEUED_BYTES
            if is_too_large or len(self._queue) >= MAX_QUEUED_REQUESTS:
                self._drop("requests come faster than they can be written")
                return
            self._queue.append(request)
            self._queued_bytes += size
            self._changed.notify()

    def close(self, seconds: float | None = None) -> None:
        """Write what is queued, flush, and print how many requests were written and dropped.

        After so many `seconds` the rest is dropped.
        """
        with self._changed:
            if self._is_closing:
                return
            self._is_closing = True
            self._changed.notify()
        self._thread.join(seconds)
        if self._thread.is_alive():
            with self._changed:
                self.dropped += len(self._queue) + self._unflushed
        _print(f"{self.written} requests written, {self.dropped} dropped")

    def _write_all(self) -> None:
        while (request := self._next()) is not None:
            if self._attempt(functools.partial(self._write, request), lost=1):
                self._unflushed += 1
        if self._attempt(self._files.close):
            self._count_written()

    def _write(self, request: ServedRequest) -> None:
        self._files.write(prediction_log(*request, sample=self._sample))

    def _next(self) -> ServedRequest | None:
        """Return the oldest request; None once closed and empty.

        Before it waits for one, it makes all that was written readable.
        """
        if not self._queue and self._unflushed and self._attempt(self._files.flush):
            self._count_written()
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_closing)
            if not self._queue:
                return None
            request = self._queue.popleft()
            self._queued_bytes -= request.size()
            return request

    def _attempt(self, action: Callable[[], None], lost: int = 0) -> bool:
        """Return True if it was done; a full disk costs records, never the server or the thread.

        If it was not, so many records are `lost` beside those that were not flushed yet.
        """
        try:
            action()
            return True
        except Exception as error:
            self._files.abandon()
            lost += self._unflushed
            self._unflushed = 0
            reason = getattr(error, "message", None) or str(error) or type(error).__name__
            with self._changed:
                self._drop(reason.splitlines()[0], lost)
            return False

    def _count_written(self) -> None:
        self.written += self._unflushed
        self._unflushed = 0

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped += count
        if time.monotonic() >= self._quiet_until:
            _print(f"dropping requests: {reason}")
            self._quiet_until = time.monotonic() + QUIET_SECONDS


def prediction_log(
    model_name: str,
    version: int,
    signature_name: str,
    inputs: Arrays,
    outputs: Arrays,
    request_id: bytes = b"",
    sample: float = 1.0,
) -> bytes:
    """Serialize one served predict request as a PredictionLog.

    It holds the request and the response, and in both model_specs the version that answered. The id
    of the request is its client_id, whichever way it came.
    """
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    response = log.predict_log.response
    for spec in (request.model_spec, response.model_spec, log.log_metadata.model_spec):
        spec.name = model_name
        spec.signature_name = signature_name
        spec.version.value = version
    log.log_metadata.sampling_config.sampling_rate = sample
    if request_id:
        request.client_id = request_id
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    return log.SerializeToString()


def _print(text: str) -> None:
    print(f"request log: {text}.", file=sys.stderr, flush=True)
