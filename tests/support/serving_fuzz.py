"""Requests that are nearly right, by the thousand, from a seed."""

import http.client
import random

import grpc

REST, RPC = 20_000, 5_000  # requests
# what the contract knows; 500 is for data loss, and nothing here is lost
STATUSES = {200, 400, 404, 409, 413, 429, 499, 501, 503, 504}
CODES = {
    "OK",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
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


def rest(host: str, port: int, count: int, seed: int) -> dict[int, int]:
    """Sends `count` requests; status → how often.

    Raises AssertionError for an answer that the contract does not know.
    """
    draw, seen = random.Random(seed), {}
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for _ in range(count):
        path, body, method = (
            draw.choice(PATHS),
            draw.choice(BODIES),
            draw.choice(["POST", "POST", "POST", "GET", "PUT"]),
        )
        if draw.random() < 0.7:
            body = mutated(draw, body)
        if draw.random() < 0.3:
            raw = mutated(draw, path.encode())
            # what a client's library lets through
            path = "/" + "".join(chr(byte) for byte in raw if 0x21 <= byte < 0x7F)
        headers = {"Content-Encoding": "gzip"} if draw.random() < 0.02 else {}
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        reply = connection.getresponse()
        answer = reply.read()
        assert reply.status in STATUSES and b"Traceback" not in answer, (
            method,
            path,
            body,
            reply.status,
            answer[:500],
        )
        seen[reply.status] = seen.get(reply.status, 0) + 1
        if reply.getheader("Connection", "").lower() == "close":
            connection.close()
    return seen


def rpc(
    host: str, port: int, requests: dict[str, list[bytes]], count: int, seed: int
) -> dict[str, int]:
    """Sends `count` mutated messages to the methods that `requests` names, with examples of each;
    code → how often.
    """
    draw, seen = random.Random(seed), {}
    with grpc.insecure_channel(f"{host}:{port}") as channel:
        # without a serializer: bytes are sent as they are
        calls = {method: channel.unary_unary(method) for method in requests}
        for _ in range(count):
            method = draw.choice(list(requests))
            data = mutated(draw, draw.choice(requests[method]))
            try:
                calls[method](data, timeout=60)
                code, message = "OK", ""
            except grpc.RpcError as error:
                code, message = error.code().name, error.details()
            # gRPC's own word for bytes that are no message
            unreadable = code == "INTERNAL" and "deserializing" in message
            assert (code in CODES or unreadable) and "Traceback" not in message, (
                method,
                data,
                code,
                message,
            )
            seen["unreadable" if unreadable else code] = (
                seen.get("unreadable" if unreadable else code, 0) + 1
            )
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
