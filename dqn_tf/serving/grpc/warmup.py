"""Runs the requests that a version brings along, before it answers anybody's."""

import sys
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from dqn_tf.serving.errors import ServingError, invalid_argument, to_serving_error
from dqn_tf.serving.grpc.calls import Caller, PredictionCalls
from dqn_tf.serving.grpc.lanes import Lane, Lanes
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.workload import ByteBudget

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000
NOBODY = Caller(
    deadline=None,
    is_active=lambda: True,
    claim=ByteBudget(sys.maxsize, sys.maxsize).claim(),
    lane=Lane(Lanes(sys.maxsize, sys.maxsize)),
)


def run(path: Path, runner: SignatureRunner, handle: VersionHandle, check_method: bool) -> int:
    """Replay the version's warm-up file, if it has one; return the number of its records.

    Raises ServingError if any of them fails.
    """
    file = path / FILE
    if not file.is_file():
        return 0
    calls = PredictionCalls(
        runner,
        lambda _: handle.duplicate(),
        as_content=False,
        check_method=check_method,
        max_rows=sys.maxsize,
    )
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(file)):
            count += 1
            if count > MOST_RECORDS:
                raise invalid_argument(
                    f"Number of warmup records exceeds the maximum, {MOST_RECORDS}"
                )
            _replay(record, calls)
        if count == 0 and file.stat().st_size:
            raise ServingError("DATA_LOSS", "it is no TFRecord file")
    except Exception as error:
        cause = to_serving_error(error)
        code = cause.code if cause.code != "INTERNAL" else "INVALID_ARGUMENT"
        raise ServingError(code, f"{file}, record {count}: {cause.message}") from error
    return count


def _replay(record: bytes, calls: PredictionCalls) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    # protobuf's DecodeError has another type in each of its implementations
    except Exception as error:
        raise invalid_argument(f"Failed to parse warmup record: {error}") from error
    replays: dict[str, Callable] = {
        "predict_log": calls.predict,
        "classify_log": calls.classify,
        "regress_log": calls.regress,
        "multi_inference_log": calls.multi_inference,
    }
    kind = log.WhichOneof("log_type")
    if kind not in replays:
        raise ServingError("UNIMPLEMENTED", f"Unsupported log_type for warmup: {kind}")
    replays[kind](getattr(log, kind).request, NOBODY)
