"""Many small requests, one run of the model.

Requests for the same version, signature, outputs and row shape that wait at the same time are
joined along their first dimension. One that could not be joined with others, for its shape,
therefore never makes them fail.
"""

import collections
import concurrent.futures
import dataclasses
import os
import threading
import time

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid, translated
from dqn_tf.serving.models.loaded_model import Loaded, Signature

Outputs = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Batching:
    """How requests are merged.

    A request beyond `max_batch_size` is refused, and so is one more batch than
    `max_enqueued_batches`.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()


@dataclasses.dataclass
class Task:
    """One request's part of a batch."""

    inputs: dict[str, np.ndarray]
    rows: int
    deadline: float | None
    answer: concurrent.futures.Future = dataclasses.field(default_factory=concurrent.futures.Future)


@dataclasses.dataclass
class Batch:
    """Tasks that are run together, at the latest at `due` (time.monotonic())."""

    loaded: Loaded
    signature: Signature
    outputs: tuple[str, ...]
    due: float
    tasks: list[Task] = dataclasses.field(default_factory=list)
    rows: int = 0


class Batcher:
    """Joins and runs tasks on `num_batch_threads` threads."""

    def __init__(self, parameters: Batching) -> None:
        self.parameters = parameters
        # those that still have room, by what may join them
        self._waiting: collections.OrderedDict[tuple, Batch] = collections.OrderedDict()
        self._full: collections.deque[Batch] = collections.deque()
        self._change = threading.Condition()
        self._closed = False
        for number in range(parameters.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def submit(
        self,
        loaded: Loaded,
        signature: Signature,
        inputs: dict[str, np.ndarray],
        outputs: tuple[str, ...] | None,
        deadline: float | None,
    ) -> "concurrent.futures.Future[Outputs]":
        """The outputs, later.

        Raises INVALID_ARGUMENT for what has no rows or too many, UNAVAILABLE if too much is
        waiting.
        """
        signature.check(inputs)
        names = signature.whole if outputs is None else outputs
        sizes = {array.shape[0] if array.ndim else None for array in inputs.values()}
        if len(sizes) != 1 or None in sizes:
            raise invalid(
                "Batching input tensors must have at least one dimension, and all the same 0th"
                " dimension size"
            )
        rows, most = sizes.pop(), self.parameters.max_batch_size
        if rows > most:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        task = Task(inputs, rows, deadline)
        key = (id(loaded), signature.name, names, *(array.shape[1:] for array in inputs.values()))
        with self._change:
            batch = self._waiting.get(key)
            if batch is None or batch.rows + rows > most:
                if len(self._waiting) + len(self._full) >= self.parameters.max_enqueued_batches:
                    raise ServingError(
                        "UNAVAILABLE",
                        "The batch scheduling queue to which this task was submitted is full",
                    )
                if batch is not None:
                    self._full.append(self._waiting.pop(key))
                batch = self._waiting[key] = Batch(
                    loaded,
                    signature,
                    names,
                    time.monotonic() + self.parameters.batch_timeout_micros / 1e6,
                )
            batch.tasks.append(task)
            batch.rows += rows
            if batch.rows == most:
                self._full.append(self._waiting.pop(key))
            self._change.notify()
        return task.answer

    def close(self) -> None:
        """Ends the threads. Nothing may wait any more."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._run(batch, batch.tasks)
            except Exception as error:
                self._fail(batch, error)
            del batch  # a waiting thread must not keep a version alive

    def _next(self) -> Batch | None:
        with self._change:
            while True:
                if self._closed:
                    return None
                if self._full:
                    return self._full.popleft()
                now = time.monotonic()
                first = min(self._waiting.items(), key=lambda item: item[1].due, default=None)
                if first is not None and first[1].due <= now:
                    return self._waiting.pop(first[0])
                self._change.wait(None if first is None else first[1].due - now)

    def _fail(self, batch: Batch, error: Exception) -> None:
        """One task's values may be what the model refused: alone, the others succeed."""
        for task in batch.tasks:
            try:
                if len(batch.tasks) == 1 or translated(error).code == "DEADLINE_EXCEEDED":
                    raise error
                self._run(batch, [task])
            except Exception as alone:
                task.answer.set_exception(translated(alone))

    def _run(self, batch: Batch, tasks: list[Task]) -> None:
        rows = sum(task.rows for task in tasks)
        padding = (
            next((size for size in self.parameters.allowed_batch_sizes if size >= rows), rows)
            - rows
        )
        joined = {}
        for alias in batch.signature.inputs:
            parts = [task.inputs[alias] for task in tasks]
            if padding and rows:
                parts.append(
                    np.repeat(next(part for part in parts if len(part))[:1], padding, axis=0)
                )
            joined[alias] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        deadlines = [task.deadline for task in tasks]
        outputs = batch.loaded.run(
            batch.signature, joined, batch.outputs, None if None in deadlines else max(deadlines)
        )
        size = rows + padding if rows else 0
        for name, array in outputs.items():
            if array.ndim == 0 or array.shape[0] != size:
                raise ServingError(
                    "FAILED_PRECONDITION",
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th"
                    f" dimension sizes of the input tensors: output {name!r} has the shape"
                    f" {list(array.shape)} for {size} rows",
                )
        start = 0
        for task in tasks:
            task.answer.set_result(
                {name: array[start : start + task.rows] for name, array in outputs.items()}
            )
            start += task.rows
