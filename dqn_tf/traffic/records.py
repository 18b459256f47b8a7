"""Records of served requests, read back in batches:

TFRecord of PredictionLog, by dqn_tf.serving or by TF Serving's own request logger.
"""

import collections
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from dqn_tf.support.errors import UserError

ROWS = 512  # of one batch, unless a single request has more


class Served(NamedTuple):
    """One request or several alike:

    what was asked by the same signature, and what one version answered. Arrays [rows, ...].
    """

    version: int
    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    requests: int = 1

    @property
    def rows(self) -> int:
        """How many observations."""
        return len(next(iter(self.inputs.values())))

    @property
    def kind(self) -> tuple:
        """Equal for those that can stand in one batch."""
        arrays = (
            sorted((name, array.dtype.str, array.shape[1:]) for name, array in part.items())
            for part in (self.inputs, self.outputs)
        )
        return (self.version, self.signature, *map(tuple, arrays))


class Traffic:
    """All record files of a directory. `damaged` and `skipped` are known once `batches` has been
    read to its end.

    Attributes:
      files: the files, in the order of their names.
      damaged: a sentence for each file whose end could not be read; what is before it counts.
      skipped: how many requests were left out, by reason.
    """

    def __init__(self, directory: Path) -> None:
        """Raises UserError if there is no such directory or no file in it."""
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

    def batches(self) -> Iterator[Served]:
        """The requests in their order, those that follow one another and are alike in batches of up
        to ROWS rows.
        """
        waiting: list[Served] = []
        for served in self._requests():
            if waiting and (
                served.kind != waiting[0].kind
                or served.rows + sum(each.rows for each in waiting) > ROWS
            ):
                yield _joined(waiting)
                waiting = []
            waiting.append(served)
        if waiting:
            yield _joined(waiting)

    def _requests(self) -> Iterator[Served]:
        for content in self._records():
            served = _parse(content)
            if isinstance(served, Served):
                yield served
            else:
                self.skipped[served] += 1

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


def _parse(content: bytes) -> Served | str:
    """The request, or in a few words why it cannot be used."""
    try:
        log = prediction_log_pb2.PredictionLog.FromString(content)
    except DecodeError:
        return "no PredictionLog"
    if not log.HasField("predict_log"):
        return "not of predict"
    request, response = log.predict_log.request, log.predict_log.response
    try:
        inputs, outputs = (
            {name: tf.make_ndarray(tensor) for name, tensor in part.items()}
            for part in (request.inputs, response.outputs)
        )
    except (TypeError, ValueError):
        return "with a tensor that is not whole"
    if (
        not inputs
        or not outputs
        or len({array.shape[:1] for array in (*inputs.values(), *outputs.values())}) != 1
    ):
        return "without a row for each observation"
    version = _version(response) or _version(request)
    return Served(version, request.model_spec.signature_name or "serving_default", inputs, outputs)


def _version(message: predict_pb2.PredictRequest | predict_pb2.PredictResponse) -> int:
    return message.model_spec.version.value


def _joined(alike: list[Served]) -> Served:
    first = alike[0]
    inputs, outputs = (
        {
            name: np.concatenate([getattr(each, part)[name] for each in alike])
            for name in getattr(first, part)
        }
        for part in ("inputs", "outputs")
    )
    return first._replace(inputs=inputs, outputs=outputs, requests=len(alike))
