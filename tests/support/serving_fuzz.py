"""Requests that are nearly right, by the thousand, from a seed.

    python tests/support/serving_fuzz.py --rest=50000 --grpc=20000 --seed=1

starts a server of the zoo, sends so many of each, and prints how often each answer came. It ends
with an error as soon as an answer is none of the contract's, takes too long, or the server dies.
"""

import argparse
import contextlib
import http.client
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import grpc

REST, RPC = 12_000, 5_000  # requests in the suite
LIMIT = 20  # seconds for one answer, on a busy machine
# what the contract knows; 500 is for data loss, and nothing here is lost
STATUSES = {200, 400, 403, 404, 409, 413, 429, 499, 501, 503, 504}
CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "RESOURCE_EXHAUSTED",
}
PATHS = [
    "/v1/models/zoo:predict",
    "/v1/models/zoo/versions/1:predict",
    "/v1/models/zoo:classify",
    "/v1/models/zoo:regress",
    "/v1/models/zoo",
    "/v1/models/zoo/metadata",
    "/v1/models/zoo/labels/x:predict",
    "/monitoring",
    "/v1/models/zoo/versions/1",
    "http://127.0.0.1/v1/models/zoo",
]
BODIES = [
    b'{"instances": [[1, 2.5, -3e2, 4]]}',
    b'{"signature_name": "two", "inputs": {"a": [[1]], "b": [[2]]}}',
    b'{"signature_name": "echo_string", "instances": ["a", {"b64": "YWJj"}, "\\u00e4"]}',
    b'{"signature_name": "echo_int64", "inputs": [1, -2]}',
    b'{"signature_name": "echo_bool", "instances": [true, [false]]}',
    b'{"signature_name": "regress", "examples": [{"x": [1.0, 2.0]}, {}]}',
    b'{"signature_name": "classify", "context": {"x": 1.0}, "examples": [{"x": "text"}]}',
    b'{"signature_name": "uneven", "inputs": [NaN, Infinity]}',
    b'{"signature_name": "echo_uint8", "instances": [{"x": [[300, -1]]}, {"x": [[0, 1]]}]}',
    b'{"signature_name": "blob", "inputs": {"x": [["\\ud83d\\ude00", {"b64": "_-8="}]]}}',
]
PIECES = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"null",
    b"true",
    b"1e400",
    b"-",
    b"1.",
    b"NaN",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\udc00\\ud800",
    b"\xed\xa0\x80",
    b"\\u0000",
    b"\xff",
    b"\x00",
    b"[" * 300,
    b'{"a":' * 50,
    b'"instances":',
    b'"inputs":',
    b"9" * 400,
    b"18446744073709551616",
    b'{"b64":"*"}',
    b'{"b64":""}',
    b"0.1" * 20,
    b"[[]]",
    b"{}",
]
SIGNATURES = (
    *("serving_default", "two", "scalar", "uneven", "blob", "only_bytes", "double_rows"),
    *("classify", "regress", "fussy", "none", ""),
    *(f"echo_{dtype}" for dtype in ("float32", "float64", "int8", "uint8", "int16", "uint16")),
    *(f"echo_{dtype}" for dtype in ("int32", "int64", "uint32", "uint64", "bool", "string")),
    *("echo_float16", "echo_bfloat16", "echo_complex64"),
)
ALIASES = ("x", "observation", "a", "b", "seconds", "inputs", "other")
LEAVES = [
    *("1", "-1", "0", "2.5", "1e39", "1e-50", "300", "2147483648", "18446744073709551615", "NaN"),
    *("true", "false", "null", '""', '"a"', '"\\ud83d\\ude00"', '{"b64": "YWJj"}', '{"b64": 1}'),
    *("{}", "[]", '"\\n\\"\\\\"', "Infinity", "-0", "1e5"),
]
# numbers of TensorFlow's types, with some that there are not
DTYPES = (*range(31), 101, 114, 119, 1000, -1)
SIZES = (0, 1, 2, 3, 4, 5, 8, 1000, 70_000, 1 << 20, 1 << 31, 1 << 32, 1 << 62, -1, -(1 << 40))
VALUES = {
    "float_val": 1.5,
    "double_val": -2.5,
    "int_val": 300,
    "int64_val": -(1 << 40),
    "uint32_val": 7,
    "uint64_val": 1 << 63,
    "bool_val": True,
    "string_val": b"\xff\x00text",
    "half_val": 70_000,
    "scomplex_val": 1.0,
}
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def mutated(draw: random.Random, original: bytes) -> bytes:
    """One to four bytes or pieces changed, added, doubled or taken away."""
    data = bytearray(original)
    for _ in range(draw.randint(1, 4)):
        at = draw.randint(0, len(data))
        end = min(len(data), at + draw.randint(0, 8))
        data[at:end] = draw.choice(
            [b"", draw.choice(PIECES), bytes([draw.randrange(256)]), bytes(data[at:end]) * 2]
        )
    return bytes(data)


def random_body(draw: random.Random) -> bytes:
    """A body whose values have shapes and types of their own, now and then ragged or long."""
    members = []
    if draw.random() < 0.9:
        members.append(f'"signature_name": {json.dumps(draw.choice(SIGNATURES))}')
    key = draw.choice(("instances", "inputs", "examples"))
    if draw.random() < 0.5:
        value = _nested(draw, _shape(draw))
    else:
        names = draw.sample(ALIASES, draw.randint(1, 2))
        objects = [
            "{" + ", ".join(f'"{name}": {_nested(draw, _shape(draw))}' for name in names) + "}"
            for _ in range(1 if key == "inputs" else draw.randint(0, 3))
        ]
        value = objects[0] if key == "inputs" else "[" + ", ".join(objects) + "]"
    members.append(f'"{key}": {value}')
    if key == "examples" and draw.random() < 0.5:
        members.append(f'"context": {{"x": {_nested(draw, _shape(draw))}}}')
    if draw.random() < 0.2:
        members.insert(0, f'"note": {_long(draw)}')
    return ("{" + ", ".join(members) + "}").encode("utf-8", "surrogatepass")


def _shape(draw: random.Random) -> list[int]:
    if draw.random() < 0.1:  # deep
        return [1] * draw.choice((31, 32, 33, 40, 64, 65, 100, 254, 255, 600))
    return [draw.choice((0, 1, 1, 2, 4)) for _ in range(draw.randint(0, 4))]


def _nested(draw: random.Random, shape: list[int]) -> str:
    if draw.random() < 0.02:
        return _long(draw)
    kind = draw.choice(LEAVES)
    value = kind
    for size in reversed(shape):
        parts = [value] * size
        if parts and draw.random() < 0.05:
            parts[draw.randrange(len(parts))] = draw.choice((draw.choice(LEAVES), _long(draw)))
        value = "[" + ", ".join(parts) + "]"
    return value


def _long(draw: random.Random) -> str:
    """A long text, alone or beside numbers; sometimes longer than what is read in one go."""
    size = draw.choice((100, 5_000, 40_000)) if draw.random() < 0.995 else 400_000
    text = draw.choice(("x", "\\n", "\\ud83d\\ude00", "é", "😀", '\\"', "[", "\\\\")) * size
    if draw.random() < 0.5:
        return f'"{text}"'
    return f'["{text}"' + ", 1" * draw.choice((1, 100, 5_000)) + "]"


def rest(host: str, port: int, count: int, seed: int) -> Counter[int]:
    """Sends `count` requests; status → how often.

    Raises AssertionError for an answer that the contract does not know, or that takes too long.
    """
    draw = random.Random(seed)
    seen: Counter[int] = Counter()
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for _ in range(count):
        path = draw.choice(PATHS)
        method = draw.choice(["POST", "POST", "POST", "GET", "PUT"])
        body = draw.choice(BODIES)
        if draw.random() < 0.4:
            body, path, method = random_body(draw), draw.choice(PATHS[:4]), "POST"
        elif draw.random() < 0.7:
            body = mutated(draw, body)
        if draw.random() < 0.2:
            raw = mutated(draw, path.encode())
            # what a client's library lets through
            path = "/" + "".join(chr(byte) for byte in raw if 0x21 <= byte < 0x7F)
        headers = {"Content-Encoding": "gzip"} if draw.random() < 0.02 else {}
        started = time.monotonic()
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        answer = reply.read()
        seconds = time.monotonic() - started
        assert reply.status in STATUSES and b"Traceback" not in answer and seconds < LIMIT, (
            method,
            path,
            body[:2000],
            reply.status,
            answer[:500],
            seconds,
        )
        seen[reply.status] += 1
        if reply.getheader("Connection", "").lower() == "close":
            connection.close()
    return seen


def random_message(draw: random.Random) -> bytes:
    """A predict request whose tensors claim types, shapes and values that need not agree."""
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "zoo"
    request.model_spec.signature_name = draw.choice(SIGNATURES)
    for alias in draw.sample(ALIASES, draw.choice((1, 1, 1, 2))):
        tensor = request.inputs[alias]
        tensor.dtype = draw.choice(DTYPES)
        tensor.tensor_shape.unknown_rank = draw.random() < 0.03
        rank = draw.choice((0, 1, 1, 2, 2, 3, 4, 32, 33, 70, 300))
        for _ in range(rank):
            size = 1 if rank > 4 and draw.random() < 0.98 else draw.choice(SIZES)
            tensor.tensor_shape.dim.add().size = size
        for field in draw.sample(list(VALUES), draw.choice((0, 1, 1, 1, 2))):
            values = [VALUES[field]] * draw.choice((0, 1, 1, 2, 4, 16, 5000))
            getattr(tensor, field).extend(values)
        if draw.random() < 0.2:
            tensor.tensor_content = draw.randbytes(draw.choice((1, 2, 4, 8, 16, 17, 64, 40_000)))
    if draw.random() < 0.2:
        request.output_filter.extend(draw.sample(("y", "action", "q_values", "sum", "none"), 2))
    return request.SerializeToString()


def rpc(
    host: str, port: int, requests: dict[str, list[bytes]], count: int, seed: int
) -> Counter[str]:
    """Sends `count` messages to the methods that `requests` names, with examples of each.

    Half of them are mutated examples, the others random claims. Code → how often. Raises
    AssertionError as `rest` does.
    """
    draw = random.Random(seed)
    seen: Counter[str] = Counter()
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"{host}:{port}", options) as channel:
        # without a serializer: bytes are sent as they are
        calls = {method: channel.unary_unary(method) for method in requests}
        for _ in range(count):
            method = draw.choice(list(requests))
            data = mutated(draw, draw.choice(requests[method]))
            if draw.random() < 0.5:
                method, data = PREDICT, random_message(draw)
            started = time.monotonic()
            try:
                calls[method](data, timeout=60)
                code, message = "OK", ""
            except grpc.RpcError as error:
                code, message = error.code().name, error.details()
            seconds = time.monotonic() - started
            assert code in CODES and "Traceback" not in message and seconds < LIMIT, (
                method,
                data[:2000],
                code,
                message,
                seconds,
            )
            seen[code] += 1
    return seen


def examples() -> dict[str, list[bytes]]:
    """Method → serialized requests that are right."""
    import tensorflow as tf
    from tensorflow_serving.apis import (
        classification_pb2,
        get_model_metadata_pb2,
        get_model_status_pb2,
        inference_pb2,
        predict_pb2,
    )

    found: dict[str, list[bytes]] = {}
    service = "/tensorflow.serving.PredictionService/"
    for signature, alias, value in (
        ("", "observation", [[1.0, 2.0, 3.0, 4.0]]),
        ("echo_string", "x", [b"a", b"b"]),
        ("echo_int64", "x", [1, 2]),
    ):
        request = predict_pb2.PredictRequest(output_filter=["q_values"] if not signature else [])
        request.model_spec.name, request.model_spec.signature_name = "zoo", signature
        dtype = tf.int64 if signature == "echo_int64" else None
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value, dtype))
        found.setdefault(service + "Predict", []).append(request.SerializeToString())
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name, request.model_spec.signature_name = "zoo", "classify"
    request.input.example_list.examples.add().features.feature["x"].float_list.value.extend(
        [1.0, 2.0]
    )
    found[service + "Classify"] = found[service + "Regress"] = [request.SerializeToString()]
    several = inference_pb2.MultiInferenceRequest(input=request.input)
    several.tasks.add(model_spec=request.model_spec, method_name="tensorflow/serving/classify")
    found[service + "MultiInference"] = [several.SerializeToString()]
    asked = get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=request.model_spec, metadata_field=["signature_def"]
    )
    found[service + "GetModelMetadata"] = [asked.SerializeToString()]
    status = get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec)
    found["/tensorflow.serving.ModelService/GetModelStatus"] = [status.SerializeToString()]
    return found


def main() -> None:
    """Fuzzes a server of its own, with and without batching."""
    import server_process
    import signature_zoo

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rest", type=int, default=REST, help="requests over REST")
    parser.add_argument("--grpc", type=int, default=RPC, help="messages over gRPC")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        signature_zoo.save(directory / "zoo" / "1")
        flags = [f"--model_base_path={directory / 'zoo'}", "--model_name=zoo"]
        for batching in ([], ["--enable_batching"]):
            server = stack.enter_context(server_process.embedded(directory, *flags, *batching))
            before = server.memory()
            seen = rest(server.host, server.rest, arguments.rest // 2, arguments.seed)
            codes = rpc(server.host, server.rpc, examples(), arguments.grpc // 2, arguments.seed)
            grown = (server.memory() - before) / 1e6
            print(" ".join(batching) or "no batching", dict(seen), dict(codes), f"{grown:.0f} MB")
            assert server.stop() == 0 and "Traceback" not in server.text, server.text


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2])]
    main()
