"""Runs the requests that a version brings along, before it answers anybody's."""

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from dqn_tf.serving.errors import ServingError, invalid, translated
from dqn_tf.serving.grpc.calls import Calls
from dqn_tf.serving.models.manager import Held
from dqn_tf.serving.models.runner import Engine

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MOST = 1000  # records


def run(path: Path, engine: Engine, held: Held, check_method: bool) -> int:
    """Replays the version's warm-up file, if it has one; returns the number of its records.

    Raises ServingError if any of them fails.
    """
    if not (path / FILE).is_file():
        return 0
    calls = Calls(engine, lambda _: held.again(), as_content=False, check_method=check_method)
    count = 0
    try:
        for record in tf.compat.v1.io.tf_record_iterator(str(path / FILE)):
            count += 1
            if count > MOST:
                raise invalid(f"Number of warmup records exceeds the maximum, {MOST}")
            _replay(record, calls)
        if count == 0 and (path / FILE).stat().st_size:
            raise ServingError("DATA_LOSS", "it is no TFRecord file")
    except Exception as error:
        found = translated(error)
        raise ServingError(
            found.code if found.code != "INTERNAL" else "INVALID_ARGUMENT",
            f"{path / FILE}, record {count}: {found.message}",
        ) from error
    return count


def _replay(record: bytes, calls: Calls) -> None:
    log = prediction_log_pb2.PredictionLog()
    try:
        log.ParseFromString(record)
    # protobuf's DecodeError is of another kind in each of its implementations
    except Exception as error:
        raise invalid(f"Failed to parse warmup record: {error}") from error
    replays: dict[str, Callable] = {
        "predict_log": calls.predict,
        "classify_log": calls.classify,
        "regress_log": calls.regress,
        "multi_inference_log": calls.multi_inference,
    }
    kind = log.WhichOneof("log_type")
    if kind not in replays:
        raise ServingError("UNIMPLEMENTED", f"Unsupported log_type for warmup: {kind}")
    replays[kind](getattr(log, kind).request, None)
