"""SavedModels for the server's tests, made of plain tf.Module:

what they compute can be said in one line each.
"""

import os
from pathlib import Path

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

DTYPES = (
    "float32",
    "float64",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "bool",
    "string",
    "float16",
    "bfloat16",
)
WIDTH = 4  # of `matmul`'s input


def _signature(function, **specifications):
    """A tf.function of keyword arguments with these names."""
    return tf.function(function).get_concrete_function(
        **{
            name: tf.TensorSpec(shape, dtype, name=name)
            for name, (dtype, shape) in specifications.items()
        }
    )


class Zoo(tf.Module):
    """One signature for each thing that a test asks for."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.weights = tf.Variable(
            [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, -0.5]], name="weights"
        )
        self.offset = tf.Variable(offset, name="offset")
        free = (None, None)
        self.endpoints = {
            **{
                f"echo_{dtype}": _signature(lambda x: {"y": tf.identity(x)}, x=(dtype, None))
                for dtype in (*DTYPES, "complex64")
            },
            "serving_default": _signature(self.matmul, observation=("float32", (None, WIDTH))),
            "two": _signature(
                lambda a, b: {"sum": a + b, "product": a * b},
                a=("float32", free),
                b=("float32", free),
            ),
            "scalar": _signature(lambda x: {"total": tf.reduce_sum(x)}, x=("float32", None)),
            "uneven": _signature(lambda x: {"whole": x, "first": x[:1]}, x=("float32", None)),
            "blob": _signature(lambda x: {"plain": x, "blob_bytes": x}, x=("string", None)),
            "only_bytes": _signature(lambda x: {"blob_bytes": x}, x=("string", None)),
            "double_rows": _signature(lambda x: {"y": tf.concat([x, x], 0)}, x=("float32", free)),
            "slow": _signature(self.slow, seconds=("float32", (None,))),
            "classify": _signature(self.classify, inputs=("string", (None,))),
            "classify_scores": _signature(
                lambda inputs: {"scores": self.features(inputs)}, inputs=("string", (None,))
            ),
            "regress": _signature(
                lambda inputs: {"outputs": tf.reduce_sum(self.features(inputs), 1)},
                inputs=("string", (None,)),
            ),
            "fussy": _signature(self.fussy, x=("float32", free)),
        }

    def matmul(self, observation: tf.Tensor) -> dict[str, tf.Tensor]:
        """q_values = observation × weights + offset."""
        q_values = tf.matmul(observation, self.weights) + self.offset
        return {"q_values": q_values, "action": tf.argmax(q_values, 1)}

    def slow(self, seconds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Busy for the largest of `seconds`."""
        end = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
        turns = tf.while_loop(
            lambda turns: tf.timestamp() < end, lambda turns: [turns + 1], [tf.constant(0)]
        )
        return {"done": seconds + 0.0 * tf.cast(turns, tf.float32)}

    def features(self, serialized: tf.Tensor) -> tf.Tensor:
        """Two numbers `x` of each example; 0 where there are none."""
        return tf.io.parse_example(
            serialized, {"x": tf.io.FixedLenFeature([2], tf.float32, [0.0, 0.0])}
        )["x"]

    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Labels "left" and "right" with the two numbers as scores."""
        scores = self.features(inputs)
        return {"scores": scores, "classes": tf.tile([["left", "right"]], [tf.shape(scores)[0], 1])}

    def fussy(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Fails where a number is negative."""
        with tf.control_dependencies([tf.debugging.assert_non_negative(x)]):
            return {"y": tf.identity(x)}


def save(path: Path, offset: float = 0.0) -> Path:
    """The zoo at `path`, written aside and renamed, as a version should be."""
    aside = path.parent / f".tmp-{path.name}"
    zoo = Zoo(offset)
    tf.saved_model.save(zoo, str(aside), signatures=zoo.endpoints)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.rename(aside, path)
    return path


def save_small(path: Path, offset: float, warmup: list[bytes] | None = None) -> Path:
    """A version with serving_default and slow alone, quick to write and to load; `warmup` holds the
    records of its warm-up file.
    """
    aside = path.parent / f".tmp-{path.name}"
    zoo = Zoo(offset)
    tf.saved_model.save(
        zoo,
        str(aside),
        signatures={name: zoo.endpoints[name] for name in ("serving_default", "slow")},
    )
    if warmup is not None:
        (aside / "assets.extra").mkdir()
        with tf.io.TFRecordWriter(
            str(aside / "assets.extra" / "tf_serving_warmup_requests")
        ) as writer:
            for record in warmup:
                writer.write(record)
    os.rename(aside, path)
    return path


def warmup_record(
    width: int = WIDTH, signature: str = "serving_default", alias: str = "observation"
) -> bytes:
    """A PredictionLog of one predict request."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "anything", signature
    request.inputs[alias].CopyFrom(tf.make_tensor_proto([[0.0] * width], tf.float32))
    return log.SerializeToString()


def unsupported_record() -> bytes:
    """A PredictionLog of a kind that no server replays."""
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()
    return log.SerializeToString()
