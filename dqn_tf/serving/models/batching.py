"""Joins many small requests into one run of the model.

Requests that wait at the same time are joined along their first dimension if version, signature,
outputs and row shape are the same. So a request of another shape never makes others fail.
"""

import collections
import concurrent.futures
import dataclasses
import os
import threading
import time
from collections.abc import Iterable

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid_argument, to_serving_error
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.signature import Arrays, Signature


@dataclasses.dataclass(frozen=True)
class BatchingOptions:
    """How requests are joined.

    A request with more rows than `max_batch_size` is refused, and so is one that would need more
    batches than `max_enqueued_batches`.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()


@dataclasses.dataclass
class Task:
    """One request's part of a batch."""

    inputs: Arrays
    rows: int
    deadline: float | None
    answer: "concurrent.futures.Future[Arrays]" = dataclasses.field(
        default_factory=concurrent.futures.Future
    )


@dataclasses.dataclass
class Batch:
    """Tasks that run together, at the latest at `due`, a time.monotonic()."""

    model: LoadedModel
    signature: Signature
    outputs: tuple[str, ...]
    due: float
    tasks: list[Task] = dataclasses.field(default_factory=list)
    rows: int = 0


class Batcher:
    """Joins tasks and runs them on `num_batch_threads` threads."""

    def __init__(self, options: BatchingOptions) -> None:
        self.options = options
        # batches that still have room, by what may join them
        self._open: collections.OrderedDict[tuple, Batch] = collections.OrderedDict()
        self._full: collections.deque[Batch] = collections.deque()
        self._changed = threading.Condition()
        self._is_closed = False
        for number in range(options.num_batch_threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def submit(
        self,
        model: LoadedModel,
        signature: Signature,
        inputs: Arrays,
        outputs: tuple[str, ...] | None,
        deadline: float | None,
    ) -> "concurrent.futures.Future[Arrays]":
        """Put one request into a batch; return the future of its outputs.

        Raises INVALID_ARGUMENT for a request without rows or with too many, UNAVAILABLE if too many
        batches wait.
        """
        signature.check(inputs)
        names = signature.all_outputs if outputs is None else outputs
        rows = _common_rows(inputs.values())
        limit = self.options.max_batch_size
        if rows > limit:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {limit}"
            )
        task = Task(inputs, rows, deadline)
        shapes = [inputs[alias].shape[1:] for alias in signature.inputs]
        key = (id(model), signature.name, names, *shapes)
        with self._changed:
            batch = self._open.get(key)
            if batch is None or batch.rows + rows > limit:
                batch = self._new_batch(key, model, signature, names)
            batch.tasks.append(task)
            batch.rows += rows
            if batch.rows == limit:
                self._full.append(self._open.pop(key))
            self._changed.notify()
        return task.answer

    def close(self) -> None:
        """End the threads. No task may wait any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _new_batch(
        self, key: tuple, model: LoadedModel, signature: Signature, names: tuple[str, ...]
    ) -> Batch:
        """Open a batch in place of the one under `key`, which is full enough. Needs the lock."""
        if len(self._open) + len(self._full) >= self.options.max_enqueued_batches:
            raise ServingError(
                "UNAVAILABLE", "The batch scheduling queue to which this task was submitted is full"
            )
        if key in self._open:
            self._full.append(self._open.pop(key))
        due = time.monotonic() + self.options.batch_timeout_micros / 1e6
        batch = self._open[key] = Batch(model, signature, names, due)
        return batch

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                self._run(batch, batch.tasks)
            except Exception as error:
                self._run_one_by_one(batch, error)
            del batch  # a waiting thread must not keep a version alive

    def _next(self) -> Batch | None:
        """Wait for a batch that is full or due; None once closed."""
        with self._changed:
            while not self._is_closed:
                if self._full:
                    return self._full.popleft()
                if not self._open:
                    self._changed.wait()
                    continue
                key, first = min(self._open.items(), key=lambda item: item[1].due)
                seconds = first.due - time.monotonic()
                if seconds <= 0:
                    return self._open.pop(key)
                self._changed.wait(seconds)
            return None

    def _run_one_by_one(self, batch: Batch, error: Exception) -> None:
        """Run each task alone: the values of one may have failed them all."""
        has_no_second_chance = (
            len(batch.tasks) == 1 or to_serving_error(error).code == "DEADLINE_EXCEEDED"
        )
        for task in batch.tasks:
            try:
                if has_no_second_chance:
                    raise error
                self._run(batch, [task])
            except Exception as task_error:
                task.answer.set_exception(to_serving_error(task_error))

    def _run(self, batch: Batch, tasks: list[Task]) -> None:
        """Run tasks of a batch together, and give each its rows of the outputs."""
        rows = sum(task.rows for task in tasks)
        size = self._padded_size(rows)
        inputs = {alias: _join(tasks, alias, size - rows) for alias in batch.signature.inputs}
        deadline = _latest_deadline(tasks)
        outputs = batch.model.run(batch.signature, inputs, batch.outputs, deadline)
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
            end = start + task.rows
            task.answer.set_result({name: array[start:end] for name, array in outputs.items()})
            start = end

    def _padded_size(self, rows: int) -> int:
        """Return the smallest allowed size that holds `rows`; an empty batch stays empty."""
        if rows == 0:
            return 0
        return next((size for size in self.options.allowed_batch_sizes if size >= rows), rows)


def _common_rows(arrays: Iterable[np.ndarray]) -> int:
    """Return the first dimension that all arrays share. Raises INVALID_ARGUMENT."""
    sizes = {array.shape[0] if array.ndim else None for array in arrays}
    rows = next(iter(sizes), None)
    if len(sizes) != 1 or rows is None:
        raise invalid_argument(
            "Batching input tensors must have at least one dimension, and all the same 0th"
            " dimension size"
        )
    return rows


def _join(tasks: list[Task], alias: str, padding: int) -> np.ndarray:
    """Concatenate one input of all tasks; the padding repeats the first row."""
    parts = [task.inputs[alias] for task in tasks]
    if padding:
        first = next(part for part in parts if len(part))[:1]
        parts.append(np.repeat(first, padding, axis=0))
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _latest_deadline(tasks: list[Task]) -> float | None:
    """Return the last of the deadlines; None if one task has none."""
    deadlines = [task.deadline for task in tasks if task.deadline is not None]
    return max(deadlines) if len(deadlines) == len(tasks) else None
