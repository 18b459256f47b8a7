"""Reads the records of served requests, in batches.

They are TFRecords of PredictionLog, written by dqn_tf.serving or by TF Serving's request logger.
"""

import collections
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.experience.logged import prediction_logs
from dqn_tf.support.errors import UserError

MAX_ROWS = 512  # of one batch, unless a single request has more

Arrays = dict[str, np.ndarray]


class RecordedRequest(NamedTuple):
    """A request to a signature and a version's answer, or several alike. Arrays [rows, ...].

    `parts` are the requests that several were made of.
    """

    version: int
    signature: str
    inputs: Arrays
    outputs: Arrays
    model: str = ""
    parts: tuple["RecordedRequest", ...] = ()

    @property
    def requests(self) -> int:
        """The number of requests."""
        return len(self.parts) or 1

    @property
    def rows(self) -> int:
        """The number of observations."""
        return len(next(iter(self.inputs.values())))

    @property
    def batch_key(self) -> tuple:
        """Equal for requests that can stand in one batch."""
        served = (self.model, self.version, self.signature)
        return (*served, _layout(self.inputs), _layout(self.outputs))


class Traffic:
    """All record files of a directory.

    Attributes:
      files: the files, in the order of their names.
      damaged: a sentence for each file whose end could not be read; what is before it counts.
      skipped: how many requests were left out, by reason.

    `damaged` and `skipped` are complete once `batches` has been read to its end.
    """

    def __init__(self, directory: Path) -> None:
        """Raise UserError if there is no such directory or no file in it."""
        try:
            self.files = sorted(path for path in directory.iterdir() if path.is_file())
        except OSError as error:
            raise UserError(f"--logs={directory} cannot be read: {error.strerror}.") from error
        if not self.files:
            raise UserError(
                f"--logs={directory} holds no record file. A server writes them with"
                f" --log_requests={directory}"
            )
        self.damaged: list[str] = []
        self.skipped: collections.Counter[str] = collections.Counter()

    def batches(self) -> Iterator[RecordedRequest]:
        """Yield the requests in their order; neighbours that are alike become one batch.

        A batch has up to MAX_ROWS rows.
        """
        batch: list[RecordedRequest] = []
        for request in self._requests():
            rows = request.rows + sum(other.rows for other in batch)
            if batch and (request.batch_key != batch[0].batch_key or rows > MAX_ROWS):
                yield _join(batch)
                batch = []
            batch.append(request)
        if batch:
            yield _join(batch)

    def _requests(self) -> Iterator[RecordedRequest]:
        for content in self._records():
            request = _parse(content)
            if isinstance(request, RecordedRequest):
                yield request
            else:
                self.skipped[request] += 1

    def _records(self) -> Iterator[bytes]:
        for path in self.files:
            count = 0
            try:
                for tensor in tf.data.TFRecordDataset(str(path)):
                    yield tensor.numpy()
                    count += 1
            except tf.errors.DataLossError:
                self.damaged.append(
                    f"{path} is damaged after {count:,} whole records; those are used."
                )
            except tf.errors.OpError as error:
                raise UserError(
                    f"{path} cannot be read: {error.message.splitlines()[0]}"
                ) from error


def _parse(content: bytes) -> RecordedRequest | str:
    """Return the request, or the reason why it cannot be used."""
    try:
        request = prediction_logs.parse(content)
    except ValueError as error:
        return str(error).removeprefix("a request ")
    if request is None:
        return "not of predict"
    arrays = (_arrays(request.inputs), _arrays(request.outputs))
    return RecordedRequest(request.version, request.signature, *arrays, request.model)


def _arrays(tensors: Mapping[str, np.ndarray | list]) -> Arrays:
    """Return all as arrays; those of strings hold objects."""
    return {
        name: values if isinstance(values, np.ndarray) else np.array(values, object)
        for name, values in tensors.items()
    }


def _layout(arrays: Arrays) -> tuple:
    """Return name, dtype and shape of one row, of each array."""
    return tuple(sorted((name, array.dtype.str, array.shape[1:]) for name, array in arrays.items()))


def _join(batch: list[RecordedRequest]) -> RecordedRequest:
    if len(batch) == 1:
        return batch[0]
    return batch[0]._replace(
        inputs=_concatenate([request.inputs for request in batch]),
        outputs=_concatenate([request.outputs for request in batch]),
        parts=tuple(batch),
    )


def _concatenate(parts: list[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
