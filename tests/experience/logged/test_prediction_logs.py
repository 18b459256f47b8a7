"""Tensors of a request log, read as the server reads them."""

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("tensorflow_serving", reason="needs the extra [serving]")

from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import prediction_log_pb2

from dqn_tf.experience.logged import prediction_logs
from dqn_tf.experience.logged.prediction_logs import NOT_WHOLE, parse
from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.grpc import tensors
from dqn_tf.serving.models.signature import TensorInfo

TYPES = {
    tf.uint8: "int_val",
    tf.int8: "int_val",
    tf.uint16: "int_val",
    tf.int16: "int_val",
    tf.int32: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.half: "half_val",
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
}


def proto(dtype, shape, *values, content=b""):
    """A tensor whose values are in the field of its type, or its bytes in `content`."""
    made = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_content=content)
    for size in shape:
        made.tensor_shape.dim.add().size = size
    getattr(made, TYPES[dtype]).extend(values)
    return made


def parsed(tensor):
    """The tensor as a request log's record holds it, read."""
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tensor)
    log.predict_log.response.outputs["x"].CopyFrom(tensor)
    return parse(log.SerializeToString()).inputs["x"]


def served(tensor):
    """What the server makes of it."""
    info = TensorInfo("x:0", tf.as_dtype(tensor.dtype))
    return tensors.to_array(tensor, info, "x", 1 << 40)


WRAPPED = [
    proto(tf.uint8, [1, 2], 300, -1),
    proto(tf.int8, [1, 2], 200, -129),
    proto(tf.uint16, [1, 2], 70_000, -1),
    proto(tf.int16, [1, 2], 40_000, -70_000),
    proto(tf.int32, [1, 2], 2**31 - 1, -(2**31)),
    proto(tf.uint64, [1, 1], 2**64 - 1),
    proto(tf.half, [1, 2], 70_000, 15_360),
    proto(tf.half, [1, 2], -1, 0),
    proto(tf.bool, [1, 2], content=b"\x02\x00"),
    proto(tf.bool, [1, 2], True, False),
    proto(tf.half, [1, 2], content=np.array([1, 2], np.float16).tobytes()),
    proto(tf.float32, [1, 9], 2.5),
    proto(tf.uint8, [2, 2], 300, 7),
    proto(tf.uint8, [1, 2], 1, 2, 3),
    proto(tf.string, [3, 1], b"a", b"bc"),
    proto(tf.string, [1, 2], b"a", b"bc", b"d"),
    proto(tf.string, [2, 2], content=b"\x01\x00\x02\x81\x01abc" + b"d" * 129),
]


@pytest.mark.parametrize("tensor", WRAPPED, ids=lambda tensor: tf.as_dtype(tensor.dtype).name)
def test_values_are_those_of_the_server(tensor):
    own, theirs = parsed(tensor), served(tensor)
    if tensor.dtype == tf.string.as_datatype_enum:
        assert own == theirs.tolist()
        return
    assert own.dtype == theirs.dtype and own.shape == theirs.shape
    assert own.tobytes() == theirs.tobytes()


LARGE = 10**13
CLAIMS = [
    proto(tf.float32, [1, LARGE], 1.0),
    proto(tf.float32, [1, 10**9], 1.0),
    proto(tf.uint8, [1, 1 + tensors.UNFOLDED_BYTES], 1),
    proto(tf.half, [1, LARGE], content=b"\x00\x00"),
    proto(tf.float32, [LARGE, 0]),
    proto(tf.float32, [0, LARGE]),
    proto(tf.float32, [2**40, 2**40], 1.0),
    proto(tf.string, [LARGE, 0]),
    proto(tf.string, [1, LARGE], b"a"),
]


@pytest.mark.parametrize("tensor", CLAIMS, ids=str)
def test_a_shape_that_claims_far_more_than_was_sent_is_refused(tensor):
    """Nothing of that size is made: it would not fit."""
    with pytest.raises(ServingError) as refused:
        served(tensor)
    assert "values for a shape of" in refused.value.message
    with pytest.raises(ValueError, match=f"^{NOT_WHOLE}$"):
        parsed(tensor)


def test_the_limits_are_the_servers():
    for name in ("UNFOLDED_BYTES", "UNFOLDED_STRINGS", "UNFOLDED_TIMES"):
        assert getattr(prediction_logs, name) == getattr(tensors, name)
    most = tensors.UNFOLDED_BYTES // 4
    assert parsed(proto(tf.float32, [1, most], 0.5)).tolist() == [[0.5] * most]


@pytest.mark.parametrize(
    "tensor",
    [
        proto(tf.float32, [1, 2], content=b"\x00" * 7),
        proto(tf.float32, [1, 2], content=b"\x00" * 12),
        proto(tf.float32, [1, 2], content=b"\x00"),
        proto(tf.float32, [1] * 70, 1.0),
        proto(tf.string, [1, 1, 1], b"a"),
        proto(tf.string, [1, 2], content=b"\x01\x02ab"),
        proto(tf.string, [1, 2], content=b"\x01"),
        proto(tf.string, [1, 2], content=b"\x01\x81"),
        proto(tf.string, [1, 2]),
    ],
    ids=str,
)
def test_what_is_not_whole_is_told_in_one_way(tensor):
    with pytest.raises(ValueError, match=f"^{NOT_WHOLE}$"):
        parsed(tensor)
