"""Served requests as TFRecord of PredictionLog, the format of TF Serving's own request logger: what
`--log_requests=DIR` writes.

    DIR/requests-00000001.tfrecord, requests-00000002.tfrecord, ...

A request only puts its arrays into a queue; a thread turns them into records. What does not fit
into the queue is dropped and counted, so that a slow disk never makes a client wait.
"""

import collections
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

# the directory's bytes are spread over so many, so that dropping the oldest takes an eighth of it
FILES = 8
FRAME_BYTES = 16  # of a TFRecord besides its content: the length and two checksums
QUEUED_REQUESTS, QUEUED_BYTES = 4096, 64 << 20
QUIET_SECONDS = 60  # between two messages about requests that are dropped
PATTERN = "requests-*.tfrecord"

Arrays = Mapping[str, np.ndarray]


class RequestLog:
    """A recorder of served requests; `written` and `dropped` count them. Threads may call it at the
    same time.

    `directory` holds at most `max_bytes` of record files, those of earlier servers counted: the
    oldest goes before the next is begun. Each request is written with probability `sample`, above 0
    and at most 1. Raises OSError if the directory cannot be made.
    """

    def __init__(self, directory: Path, max_bytes: int, sample: float) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.written = self.dropped = 0
        self._sample, self._generator = sample, np.random.default_rng()
        self._files = _RecordFiles(directory, max_bytes)
        self._queue: collections.deque[tuple] = collections.deque()
        self._queued_bytes, self._unflushed, self._closing, self._quiet_until = 0, 0, False, 0.0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._thread.start()

    def __call__(
        self, model_name: str, version: int, signature_name: str, inputs: Arrays, outputs: Arrays
    ) -> None:
        """Takes one successful predict in; the arrays must not change afterwards."""
        size = sum(map(_bytes, (*inputs.values(), *outputs.values())))
        with self._changed:
            if self._closing or self._generator.random() >= self._sample:
                return
            # An empty queue takes a request of any size.
            if len(self._queue) >= QUEUED_REQUESTS or (
                self._queue and self._queued_bytes + size > QUEUED_BYTES
            ):
                self._drop("requests come faster than they can be written")
                return
            self._queue.append((size, model_name, version, signature_name, inputs, outputs))
            self._queued_bytes += size
            self._changed.notify()

    def close(self) -> None:
        """Writes what is queued, flushes, and reports how many requests were written and dropped."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify()
        self._thread.join()
        _say(f"{self.written} requests written, {self.dropped} dropped")

    def _write_all(self) -> None:
        while request := self._next():
            if self._attempt(lambda: self._files.write(record(*request, self._sample)), lost=1):
                self._unflushed += 1
        self._attempt(self._files.close)
        self._settle()

    def _next(self) -> tuple | None:
        """The oldest request; before waiting for one, all that was written is made readable.

        None once closed and empty.
        """
        if not self._queue and self._unflushed and self._attempt(self._files.flush):
            self._settle()
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            if not self._queue:
                return None
            size, *request = self._queue.popleft()
            self._queued_bytes -= size
            return tuple(request)

    def _attempt(self, action: Callable[[], None], lost: int = 0) -> bool:
        """Whether the disk took it; a full one costs records, never the server."""
        try:
            action()
            return True
        except (OSError, tf.errors.OpError) as error:
            self._files.abandon()
            lost, self._unflushed = lost + self._unflushed, 0
            with self._changed:
                self._drop((getattr(error, "message", None) or str(error)).splitlines()[0], lost)
            return False

    def _settle(self) -> None:
        self.written, self._unflushed = self.written + self._unflushed, 0

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped += count
        if time.monotonic() >= self._quiet_until:
            _say(f"dropping requests: {reason}")
            self._quiet_until = time.monotonic() + QUIET_SECONDS


def record(
    model_name: str,
    version: int,
    signature_name: str,
    inputs: Arrays,
    outputs: Arrays,
    sample: float = 1.0,
) -> bytes:
    """One served predict as a serialized PredictionLog:

    the request, the response, and in both model_specs the version that answered.
    """
    log = prediction_log_pb2.PredictionLog()
    request, response = log.predict_log.request, log.predict_log.response
    for specification in (request.model_spec, response.model_spec, log.log_metadata.model_spec):
        specification.name, specification.signature_name = model_name, signature_name
        specification.version.value = version
    log.log_metadata.sampling_config.sampling_rate = sample
    for message, arrays in ((request.inputs, inputs), (response.outputs, outputs)):
        for name, array in arrays.items():
            message[name].CopyFrom(tf.make_tensor_proto(array))
    return log.SerializeToString()


class _RecordFiles:
    """Numbered record files of at most a FILES-th of `max_bytes` each, unless one record is larger;
    together at most `max_bytes`.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory, self._max_bytes = directory, max_bytes
        self._number = max(
            (int(path.stem.partition("-")[2]) for path in files(directory)), default=0
        )
        self._writer: tf.io.TFRecordWriter | None = None
        self._size = 0

    def write(self, content: bytes) -> None:
        size = len(content) + FRAME_BYTES
        if size > self._max_bytes:
            raise OSError(
                0, f"a record of {size} bytes is above --log_requests_max_bytes={self._max_bytes}"
            )
        if self._writer is None or self._size + size > self._max_bytes // FILES:
            self.close()
            # as large as the new file may become
            self._make_room(max(size, self._max_bytes // FILES))
            self._begin()
        self._writer.write(content)
        self._size += size

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def abandon(self) -> None:
        """After an error: the next record begins a new file."""
        try:
            self.close()
        except (OSError, tf.errors.OpError):
            pass

    def _begin(self) -> None:
        while True:
            self._number += 1
            path = self._directory / f"requests-{self._number:08}.tfrecord"
            try:
                path.touch(exist_ok=False)  # another server may write here, too
            except FileExistsError:
                continue
            self._writer, self._size = tf.io.TFRecordWriter(str(path)), 0
            return

    def _make_room(self, size: int) -> None:
        found = [(path, path.stat().st_size) for path in files(self._directory)]
        total = sum(each for _, each in found)
        for path, each in found:
            if total + size <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= each


def files(directory: Path) -> list[Path]:
    """The record files of a directory, oldest first."""
    return sorted(
        path for path in directory.glob(PATTERN) if path.stem.partition("-")[2].isdecimal()
    )


def _bytes(array: np.ndarray) -> int:
    return sum(map(len, array.ravel())) if array.dtype == object else array.nbytes


def _say(text: str) -> None:
    print(f"request log: {text}.", file=sys.stderr, flush=True)
