"""dqn_tf.export.prediction_log: the bytes are those of TensorFlow Serving's own messages."""

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.export.prediction_log import MODEL, Request, decode, encode

LARGE = np.zeros((8, 84, 84, 4), np.uint8)  # lengths of more than two bytes
REQUESTS = [
    Request(
        "serving_default",
        {"observation": tf.make_tensor_proto(np.array([[1.5, -2.0, 0.0, 3.0]], np.float32))},
    ),
    Request(
        "epsilon_greedy",
        {
            "observation": tf.make_tensor_proto(LARGE),
            "epsilon": tf.make_tensor_proto(np.full(8, 0.1, np.float32)),
            "seed": tf.make_tensor_proto(np.arange(8)),
        },
    ),
    Request("metadata", {"key": tf.make_tensor_proto([b"env", b"", b"\x00\xff" * 99])}),
    Request("of no input", {}),
]


@pytest.fixture(scope="module")
def official():
    """The messages of the package tensorflow-serving-api."""
    return pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2",
        reason="needs tensorflow-serving-api, of the extra [test]",
    ).PredictionLog


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.signature)
def test_the_official_message_reads_it(request_, official):
    log = official.FromString(encode(request_))
    assert log.WhichOneof("log_type") == "predict_log" and not log.HasField("log_metadata")
    spec = log.predict_log.request.model_spec
    assert (spec.name, spec.signature_name, spec.WhichOneof("version_choice")) == (
        MODEL,
        request_.signature,
        None,
    )
    assert dict(log.predict_log.request.inputs) == request_.inputs
    # Nothing else is in it: what the official message writes is as long, and with one input, whose
    # place in the map is then sure, the same.
    assert log.ByteSize() == len(encode(request_))
    if len(request_.inputs) < 2:
        assert log.SerializeToString() == encode(request_)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.signature)
def test_it_reads_what_it_and_the_official_message_write(request_, official):
    assert decode(encode(request_)) == request_
    assert decode(official.FromString(encode(request_)).SerializeToString()) == request_


def test_anything_else_is_refused(official):
    whole = encode(REQUESTS[0])
    for broken in (
        b"",
        whole[:-1],
        whole[:1],
        whole + b"\x32",
        b"\xff" * 9,
        b"no record of ours",
        official(session_run_log={}).SerializeToString(),
    ):
        with pytest.raises(ValueError):
            decode(broken)
