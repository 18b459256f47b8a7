"""gRPC messages that claim more than they hold, or unfold into more than they seem."""

import math

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf.internal import encoder
from tensorflow_serving.apis import classification_pb2, predict_pb2

import server_process
import signature_zoo
from dqn_tf.serving import errors

MB = 1 << 20
SOON = 0.8  # seconds
FIELDS = {
    "float16": ("half_val", 15360),
    "float32": ("float_val", 1.0),
    "float64": ("double_val", 1.0),
    "int64": ("int64_val", 1),
    "uint32": ("uint32_val", 1),
    "uint64": ("uint64_val", 1),
    "bool": ("bool_val", True),
    "string": ("string_val", b"a"),
}
METHOD = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def server(attacked_server):
    assert call(attacked_server, claim("float32", [1, 4], 4, "")) == "OK"
    return attacked_server


def claim(dtype: str, shape: list[int], values: int, signature: str | None = None, **content):
    """A request whose tensor claims a shape, and holds so many values."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "zoo"
    request.model_spec.signature_name = f"echo_{dtype}" if signature is None else signature
    tensor = request.inputs["observation" if signature == "" else "x"]
    tensor.dtype = tf.as_dtype(dtype).as_datatype_enum
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    field, value = FIELDS.get(dtype, ("int_val", 1))
    getattr(tensor, field).extend([value] * values)
    if content:
        tensor.tensor_content = content["content"]
    return request


def call(server, message, **options) -> str:
    """The code of the answer."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    try:
        server.channel.unary_unary(METHOD)(data, timeout=60, **options)
    except grpc.RpcError as error:
        assert "Traceback" not in error.details()
        return error.code().name
    return "OK"


@pytest.mark.parametrize("dtype", signature_zoo.DTYPES)
@pytest.mark.parametrize(
    "shape, values",
    [
        ([2_000_000, 4], 1),
        ([1 << 40], 0),
        ([1 << 32, 1 << 32], 1),
        ([0, 1 << 62], 0),
        ([1 << 40, 0], 0),
        ([10**9, 0], 1),
        ([1] * 33, 1),
        ([1] * 255, 1),
        ([-1], 1),
    ],
    ids=str,
)
def test_a_claim_is_refused_before_anything_is_made_of_it(server, dtype, shape, values):
    with server_process.Watch(server) as watch:
        assert call(server, claim(dtype, shape, values)) == "INVALID_ARGUMENT"
    assert watch.grown < 60 * MB and watch.slowest < SOON


def test_a_short_list_may_still_stand_for_an_image(server):
    assert call(server, claim("uint8", [1, 84, 84, 4], 1)) == "OK"


def test_a_short_list_does_not_stand_for_many_strings(server):
    """An export's signature `metadata` answers each with the same long text."""
    assert call(server, claim("string", [200], 1)) == "OK"
    assert call(server, claim("string", [300], 1)) == "INVALID_ARGUMENT"
    assert call(server, claim("string", [900], 200)) == "OK"
    assert call(server, claim("string", [4097], 4097)) == "INVALID_ARGUMENT"


def test_more_rows_than_one_request_may_have(server):
    content = np.zeros((40_000, 4), np.float32).tobytes()
    assert call(server, claim("float32", [40_000, 4], 0, "", content=content)) == "INVALID_ARGUMENT"


def test_a_bool_is_0_or_1_before_it_reaches_tensorflow(server):
    request = claim("bool", [4], 0, content=b"\x00\x01\x02\xff")
    reply = server.prediction.Predict(request, timeout=60)
    values = reply.outputs["y"].bool_val
    assert list(values) == [False, True, True, True]


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, as it is sent."""
    return encoder.TagBytes(number, 2) + encoder._VarintBytes(len(content)) + content


def dimensions(count: int) -> bytes:
    """A request whose tensor has so many dimensions, of two bytes each."""
    tensor = field(2, field(2, b"") * count)
    return field(2, field(1, b"x") + field(2, tensor))


def test_messages_in_messages_have_an_end(server):
    """Each tensor holds a variant, and that a tensor."""
    tensor = field(8, b"x" * 20_000)  # so that it is looked at
    for _ in range(600):
        tensor = field(15, field(3, tensor))
    message = field(2, field(1, b"x") + field(2, tensor))
    assert call(server, message) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "message",
    [
        dimensions(10_000_000),
        field(2, b"") * 10_000_000,
        field(3, b"") * 10_000_000,
        claim("int64", [20_000_000], 20_000_000).SerializeToString(),
        field(2, field(1, b"x") + field(2, field(8, b"") * 10_000_000)),
    ],
    ids=["dimensions", "inputs", "filters", "varints", "strings"],
)
def test_fields_are_counted_before_they_are_read(server, message):
    with server_process.Watch(server) as watch:
        assert call(server, message) == "INVALID_ARGUMENT"
    assert watch.grown < 150 * MB and watch.slowest < SOON


def test_each_example_gets_a_copy_of_the_context(server):
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "zoo", "classify"
    listed = request.input.example_list_with_context
    listed.context.features.feature["y"].bytes_list.value.append(bytes(100_000))
    for _ in range(4000):
        listed.examples.add()
    with server_process.Watch(server) as watch, pytest.raises(grpc.RpcError) as caught:
        server.prediction.Classify(request, timeout=60)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert watch.grown < 60 * MB and watch.slowest < SOON
    del listed.examples[10:]
    assert len(server.prediction.Classify(request, timeout=60).result.classifications) == 10


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_a_packed_message(server, algorithm):
    request = claim("float32", [1, 4], 4, "")
    assert call(server, request, compression=algorithm) == "OK"
    bomb = bytes(300 * MB)
    with server_process.Watch(server) as watch:
        assert call(server, bomb, compression=algorithm) == "RESOURCE_EXHAUSTED"
    assert watch.grown < 150 * MB


def test_a_message_beyond_the_limit(server):
    with server_process.Watch(server) as watch:
        assert call(server, bytes(100 * MB)) == "RESOURCE_EXHAUSTED"
    assert watch.grown < 150 * MB and watch.slowest < SOON


def test_a_long_name_comes_back_cut(server):
    """By its bytes as they are sent, of which a letter may have twelve."""
    for letter in ("😀", "é", "%", "a"):
        request = claim("float32", [1, 4], 4, letter * 1000)
        with pytest.raises(grpc.RpcError) as caught:
            server.prediction.Predict(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert letter in caught.value.details()


@pytest.mark.parametrize("letter", ["a", "%", "é", "😀", "\n"])
@pytest.mark.parametrize("length", [10, 300, 1000, 1024, 1025, 5000])
def test_what_is_sent_of_a_message_has_an_end(letter, length):
    message = errors.shorten(letter * length)
    sent = sum(1 if 0x20 <= byte < 0x7F and byte != 0x25 else 3 for byte in message.encode())
    assert sent <= 1024
    whole = length * (1 if letter == "a" else 3 * len(letter.encode()))
    assert message.endswith("...TRUNCATED") == (whole > 1024)
    assert math.isclose(sent, min(whole, 1024), abs_tol=12)
