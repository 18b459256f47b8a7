"""docs/serving.md's REST contract, sentence by sentence, as a client sees it: against the embedded
server, and unchanged against TensorFlow Serving where there is one.
"""

import base64
import gzip
import json
import math

import numpy as np
import pytest

from server_process import NAME

ZOO = f"/v1/models/{NAME}"
ROW = [1.0, 2.0, 3.0, 4.0]
BEYOND_64_BITS = "versions/9999999999"
ANSWER = [6.0, 3.0]  # ROW × weights


def echo(server, dtype: str, literal: str) -> tuple[int, dict | list]:
    """What the signature echo_DTYPE makes of a JSON literal in column form:

    status, and the literal as it is written or the error.
    """
    status, _, body = server.ask(
        "POST", f"{ZOO}:predict", f'{{"signature_name": "echo_{dtype}", "inputs": {literal}}}'
    )
    return status, json.loads(body)["outputs" if status == 200 else "error"]


def text(server, dtype: str, literal: str) -> str:
    """As `echo`, the characters that came back."""
    status, _, body = server.ask(
        "POST", f"{ZOO}:predict", f'{{"signature_name": "echo_{dtype}", "inputs": {literal}}}'
    )
    assert status == 200, body
    return "".join(body.decode().split()).removeprefix('{"outputs":').removesuffix("}")


# Paths


@pytest.mark.parametrize(
    "path, status",
    [
        (f"/v1/models/{NAME}", 200),
        (f"/v1/models/{NAME}/versions/3", 200),
        (f"/V1/Models/{NAME}", 200),
        (f"/v1/MODELS/{NAME}/Versions/3", 200),
        (f"/v1/models/{NAME}/metadata", 200),
        (f"/v1/models/{NAME}/versions/3/metadata", 200),
        ("/v1/models/z%6Fo", 200),
        (f"/v1/models/{NAME.upper()}", 404),
        ("/v1/models/none", 404),
        (f"/v1/models/{NAME}/versions/2", 404),
        (f"/v1/models/{NAME}/", 400),
        (f"/v1/models/{NAME}?verbose=1", 404),
        (f"/v1/models/{NAME}/versions/99999999999999999999", 400),
        (f"/v1/models/{NAME}/versions/99999999999999999999/metadata", 400),
        (f"/v1/models/{NAME}/versions/{'9' * 400}", 400),
        (f"/v1/models/{NAME}/versions/x", 400),
        (f"/v1/models/{NAME}/versions/-1", 400),
        ("/v1/models", 400),
        ("/v1/models/", 400),
        ("/v1/", 400),
        ("/v1/models//versions/3", 400),
        ("/v1/models/a/b", 400),
        (f"/v1/models/{NAME}:predict", 400),
        ("/v1/models/a%2Fb", 404),
    ],
)
def test_get(server, path, status):
    found, headers, body = server.ask("GET", path)
    assert found == status, body
    assert headers["content-type"].startswith("application/json")
    if BEYOND_64_BITS in path:
        assert body == b""
    else:
        assert (set(json.loads(body)) == {"error"}) == (status != 200)


@pytest.mark.parametrize(
    "path, status",
    [
        (f"{ZOO}:predict", 200),
        (f"{ZOO}/versions/3:predict", 200),
        (f"/V1/mODELS/{NAME}:predict", 200),
        ("/v1/models/%7Aoo:predict", 200),
        (f"{ZOO}/versions/1:predict", 404),
        (f"{ZOO}/labels/none:predict", 400),
        (f"{ZOO}:Predict", 400),
        (f"{ZOO}:PREDICT", 400),
        (f"{ZOO}:predict/", 400),
        (f"{ZOO}:explain", 400),
        (ZOO, 400),
        (f"{ZOO}/metadata", 400),
        (f"{ZOO}:predict?x=1", 400),
        ("/v1/models/ZOO:predict", 404),
        ("/v1/models/none:predict", 404),
        ("/v1/models/a%2Fb:predict", 404),
        ("/v1/models/a:b:predict", 400),
        (f"{ZOO}/versions/99999999999999999999:predict", 400),
    ],
)
def test_post(server, path, status):
    found, _, body = server.ask("POST", path, {"instances": [ROW]})
    assert found == status, body
    if BEYOND_64_BITS in path:
        assert body == b""
    else:
        assert status == 200 or set(json.loads(body)) == {"error"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods_are_malformed_requests_never_405(server, method):
    status, _, _ = server.ask(method, f"{ZOO}:predict", {"instances": [ROW]})
    assert status == 400


@pytest.mark.parametrize("path", ["/", "/v2/models/zoo", "/favicon.ico", "/v1", "/v1x/models/zoo"])
def test_outside_is_a_small_page(server, path):
    status, headers, body = server.ask("GET", path)
    assert (
        status == 404
        and headers["content-type"].startswith("text/html")
        and b"html" in body.lower()
    )


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Origin": "http://a.example"}, 200),
        ({"Origin": "https://a.example"}, 200),
        ({"Origin": "null"}, 400),
        ({}, 400),
    ],
)
def test_options(server, headers, status):
    found, reply, body = server.ask("OPTIONS", f"{ZOO}:predict", headers=headers)
    assert found == status and body == b"" and "access-control-allow-origin" not in reply


# Predict: forms of request and reply


@pytest.mark.parametrize(
    "body, key, expected",
    [
        ({"instances": [ROW]}, "predictions", [{"q_values": [106.0, 103.0], "action": 0}]),
        (
            {"instances": [ROW, [0, 0, 0, 1]]},
            "predictions",
            [{"q_values": [106.0, 103.0], "action": 0}, {"q_values": [100.5, 99.5], "action": 0}],
        ),
        (
            {"instances": [{"observation": ROW}]},
            "predictions",
            [{"q_values": [106.0, 103.0], "action": 0}],
        ),
        ({"inputs": [ROW]}, "outputs", {"q_values": [[106.0, 103.0]], "action": [0]}),
        (
            {"inputs": {"observation": [ROW]}},
            "outputs",
            {"q_values": [[106.0, 103.0]], "action": [0]},
        ),
        (
            {"signature_name": "", "inputs": [ROW]},
            "outputs",
            {"q_values": [[106.0, 103.0]], "action": [0]},
        ),
        (
            {"signature_name": "serving_default", "inputs": [ROW], "unknown": {"deep": [None]}},
            "outputs",
            {"q_values": [[106.0, 103.0]], "action": [0]},
        ),
        (
            {"signature_name": "two", "instances": [{"a": [2], "b": [3]}, {"b": [5], "a": [4]}]},
            "predictions",
            [{"sum": [5.0], "product": [6.0]}, {"sum": [9.0], "product": [20.0]}],
        ),
        (
            {"signature_name": "two", "inputs": {"a": [[2]], "b": [[3]]}},
            "outputs",
            {"sum": [[5.0]], "product": [[6.0]]},
        ),
        ({"signature_name": "echo_float32", "instances": [1, 2]}, "predictions", [1.0, 2.0]),
        ({"signature_name": "echo_float32", "inputs": 7}, "outputs", 7.0),
        ({"signature_name": "echo_int32", "inputs": []}, "outputs", []),
        ({"signature_name": "echo_int32", "inputs": [[], []]}, "outputs", [[], []]),
        ({"signature_name": "scalar", "inputs": [1, 2]}, "outputs", 3.0),
        (
            {"signature_name": "uneven", "inputs": [1, 2]},
            "outputs",
            {"whole": [1.0, 2.0], "first": [1.0]},
        ),
    ],
)
def test_a_reply_has_one_value_for_one_output_and_an_object_for_several(
    server, body, key, expected
):
    status, answer = server.predict(body)
    assert status == 200 and answer == {key: expected}


@pytest.mark.parametrize(
    "body",
    [
        {"instances": []},
        {"instances": {}},
        {"instances": 1},
        {"instances": None},
        {},
        {"instances": [ROW], "inputs": [ROW]},
        {"instances": [ROW, {"observation": ROW}]},
        {"instances": [{"observation": ROW}, ROW]},
        {"instances": [{"other": ROW}]},
        {"instances": [{"observation": ROW, "other": 1}]},
        {"instances": [ROW, ROW[:3]]},
        {"instances": [[ROW], ROW]},
        {"signature_name": "two", "instances": [[1]]},
        {"signature_name": "two", "instances": [{"a": [1]}]},
        {"signature_name": "two", "inputs": [[1]]},
        {"signature_name": "two", "inputs": {"a": [[1]]}},
        {"signature_name": "scalar", "instances": [1, 2]},
        {"signature_name": "uneven", "instances": [1, 2]},
        {"signature_name": "none", "instances": [ROW]},
        {"signature_name": 1, "instances": [ROW]},
        {"signature_name": None, "instances": [ROW]},
        {"instances": [[1, 2, 3]]},
        {"inputs": ROW},
        {"inputs": [[ROW]]},
        {"instances": [["a", "b", "c", "d"]]},
        {"instances": [[1, None, 3, 4]]},
        {"instances": [[1, True, 3, 4]]},
        {"instances": [[1, "NaN", 3, 4]]},
        {"instances": [[1, {"b64": "AA=="}, 3, 4]]},
    ],
    ids=str,
)
def test_what_is_refused_with_400(server, body):
    status, answer = server.predict(body)
    assert status == 400 and set(answer) == {"error"} and isinstance(answer["error"], str)


# Types and numbers


@pytest.mark.parametrize(
    "dtype, literal, back",
    [
        (
            "float32",
            "[0.1, 2, 1e-5, 9000000.0, 1234567.0, 16777216, -0.5]",
            "[0.1,2.0,1e-05,9e+06,1234567.0,16777216.0,-0.5]",
        ),
        (
            "float32",
            "[NaN, Infinity, -Infinity, Inf, -Inf]",
            "[NaN,Infinity,-Infinity,Infinity,-Infinity]",
        ),
        ("float32", "[1e39, -1e39]", "[Infinity,-Infinity]"),
        ("float32", "[3.4028235e38, 1e-30]", "[3.4028235e+38,1e-30]"),
        ("float64", "[0.1, 1e300, 2, 0.30000000000000004]", "[0.1,1e+300,2.0,0.30000000000000004]"),
        ("int8", "[-128, 127]", "[-128,127]"),
        ("uint8", "[0, 255, 300, -1]", "[0,255,44,255]"),
        ("int16", "[-32768, 32767]", "[-32768,32767]"),
        ("uint16", "[0, 65535]", "[0,65535]"),
        ("int32", "[-2147483648, 2147483647]", "[-2147483648,2147483647]"),
        (
            "int64",
            "[-9223372036854775808, 9223372036854775807]",
            "[-9223372036854775808,9223372036854775807]",
        ),
        ("uint32", "[0, 4294967295]", "[0,4294967295]"),
        ("uint64", "[0, 18446744073709551615]", "[0,18446744073709551615]"),
        ("bool", "[true, false]", "[true,false]"),
        ("bool", "true", "true"),
        ("string", '["a", "\\u00e4\\n", ""]', '["a","ä\\n",""]'),
        ("string", '{"b64": "YWJj"}', '"abc"'),
        ("string", '[{"b64": "YQ=="}, "b"]', '["a","b"]'),
    ],
)
def test_values_and_their_text(server, dtype, literal, back):
    assert text(server, dtype, literal) == back


@pytest.mark.parametrize(
    "dtype, literal",
    [
        ("int32", "[1.0]"),
        ("int32", "[1e2]"),
        ("int32", "[2147483648]"),
        ("int32", "[true]"),
        ("int64", "[9223372036854775808]"),
        ("int64", "[1.5]"),
        ("int64", '["1"]'),
        ("uint32", "[-1]"),
        ("uint32", "[4294967296]"),
        ("uint64", "[-1]"),
        ("uint8", "[1.0]"),
        ("uint8", "[4294967296]"),
        ("int32", "[1, 2.0]"),
        ("bool", "[1]"),
        ("bool", "[0]"),
        ("bool", '["true"]'),
        ("float32", "[true]"),
        ("float32", '["1"]'),
        ("float32", "[null]"),
        ("float32", "[[1], 2]"),
        ("float32", "[1, [2]]"),
        ("float32", "[[1], [2, 3]]"),
        ("string", "[1]"),
        ("string", "[null]"),
        ("string", '[{"b64": "?"}]'),
        ("string", '[{"b64": "YQ==", "c": 1}]'),
        ("string", '[{"b64": 1}]'),
        ("float64", "[1e400]"),
        ("float32", "[-1e999]"),
    ],
)
def test_tokens_of_another_type(server, dtype, literal):
    status, error = echo(server, dtype, literal)
    assert status == 400 and error


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64"])
def test_a_type_that_json_does_not_have(server, dtype):
    """A row is malformed; a column is a type that is not implemented."""
    assert echo(server, dtype, "[1.0]")[0] == 501
    for instances in ([1.0], [[1.0, 2.0]], [{"x": 1.0}]):
        body = {"signature_name": f"echo_{dtype}", "instances": instances}
        assert server.predict(body)[0] == 400


def test_strings_named_bytes_come_as_base64(server):
    body = {"signature_name": "blob", "instances": [{"b64": base64.b64encode(b"a\x01").decode()}]}
    status, answer = server.predict(body)
    assert status == 200 and answer["predictions"] == [
        {"plain": "a\x01", "blob_bytes": {"b64": "YQE="}}
    ]
    status, answer = server.predict({"signature_name": "only_bytes", "inputs": ["a", "b"]})
    assert status == 200 and answer == {"outputs": [{"b64": "YQ=="}, {"b64": "Yg=="}]}


def test_float32_round_trips(server, generator):
    values = generator.integers(0, 2**32, 500, np.uint32).view(np.float32)
    values = values[np.isfinite(values)]
    status, answer = server.predict(
        {"signature_name": "echo_float32", "inputs": [float(value) for value in values]}
    )
    assert status == 200
    np.testing.assert_array_equal(
        np.array(answer["outputs"], np.float64).astype(np.float32), values
    )


def test_nan_comes_through_a_model(server):
    status, answer = server.predict('{"instances": [[NaN, 0, 0, 0]]}')
    assert status == 200 and math.isnan(answer["predictions"][0]["q_values"][0])


# JSON


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances": [[1, 2, 3, 4]]} and so on',
        b'\xef\xbb\xbf{"instances": [[1, 2, 3, 4]]}',
        b' \r\n\t{ "instances" : [ [ 1 , 2 , 3 , 4 ] ] } ',
        b'{"instances": [[1, 2, 3, 4]], "instances": 7}',
        b'{"signature_name": "", "signature_name": 1, "instances": [[1, 2, 3, 4]]}',
        b'{"x": {"a": [1e5, "\\u00e9\\ud83d\\ude00"]}, "instances": [[1, 2, 3, 4]]}',
        b'{"instances": [[1.0, 20e-1, 3E0, 0.4e+1]]}',
        b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b', "instances": [[1, 2, 3, 4]]}',
    ],
    ids=lambda body: repr(body[:60]),
)
def test_lenient(server, body):
    status, answer = server.predict(body)
    assert status == 200 and answer["predictions"] == [{"q_values": [106.0, 103.0], "action": 0}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"[]",
        b"1",
        b'"a"',
        b"null",
        b"{",
        b'{"instances": [[1, 2, 3, 4]]',
        b'{"instances": [[1, 2, 3, 4],]}',
        b'{"instances": [[01, 2, 3, 4]]}',
        b'{"instances": [[+1, 2, 3, 4]]}',
        b'{"instances": [[.5, 2, 3, 4]]}',
        b'{"instances": [[1., 2, 3, 4]]}',
        b"{'instances': [[1, 2, 3, 4]]}",
        b"{instances: [[1, 2, 3, 4]]}",
        b'{"instances" [[1, 2, 3, 4]]}',
        b'{"x": nan, "instances": [[1, 2, 3, 4]]}',
        b'{"x": 1e400, "instances": [[1, 2, 3, 4]]}',
        b'{"x": "\\q", "instances": [[1, 2, 3, 4]]}',
        b'{"x": "\\ud800", "instances": [[1, 2, 3, 4]]}',
        b'{"x": "\n", "instances": [[1, 2, 3, 4]]}',
        b'/* x */{"instances": [[1, 2, 3, 4]]}',
        b"\x00",
        b'{"a":}',
        b'{"a" 1}',
        b"{1: 2}",
        b'{"a": [1 2]}',
        b'{"a": ]}',
    ],
    ids=repr,
)
def test_no_json(server, body):
    for name in (NAME, "none"):  # syntax is looked at before the model is
        status, answer = server.predict(body, f"/v1/models/{name}")
        assert status == 400 and set(answer) == {"error"}


@pytest.mark.parametrize(
    "body, status",
    [({"signature_name": 1}, 400), ({"signature_name": "none"}, 404), ({"instances": "none"}, 404)],
)
def test_the_model_is_looked_up_after_the_syntax_and_before_the_rest(server, body, status):
    assert server.predict(body, "/v1/models/none")[0] == status


def test_content_type_is_ignored(server):
    status, _, _ = server.ask(
        "POST", f"{ZOO}:predict", {"instances": [ROW]}, {"Content-Type": "image/png"}
    )
    assert status == 200


def test_gzip(server):
    packed = gzip.compress(json.dumps({"instances": [ROW]}).encode())
    status, headers, _ = server.ask(
        "POST", f"{ZOO}:predict", packed, {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    )
    assert status == 200 and "content-encoding" not in headers
    assert server.ask("POST", f"{ZOO}:predict", packed[:20], {"Content-Encoding": "gzip"})[0] == 400
    assert server.ask("POST", f"{ZOO}:predict", b"no gzip", {"Content-Encoding": "gzip"})[0] == 400
    assert server.ask(
        "POST", f"{ZOO}:predict", gzip.compress(bytes(101 << 20), 1), {"Content-Encoding": "gzip"}
    )[0] in (400, 413)


# Classify and regress


@pytest.mark.parametrize(
    "verb, body, results",
    [
        (
            "classify",
            {"signature_name": "classify", "examples": [{"x": [0.25, 0.75]}, {}]},
            [[["left", 0.25], ["right", 0.75]], [["left", 0.0], ["right", 0.0]]],
        ),
        (
            "classify",
            {"signature_name": "classify_scores", "examples": [{"x": [1.0, 2.0]}]},
            [[["", 1.0], ["", 2.0]]],
        ),
        (
            "regress",
            {
                "signature_name": "regress",
                "examples": [{"x": [0.25, 0.5]}, {"x": [1.0, 2.0], "other": "text"}],
            },
            [0.75, 3.0],
        ),
        (
            "regress",
            {
                "signature_name": "regress",
                "context": {"x": [1.0, 1.0]},
                "examples": [{}, {"y": [1, 2]}],
            },
            [2.0, 2.0],
        ),
        (
            "regress",
            {
                "signature_name": "regress",
                "examples": [{"x": [1.0, 2.0], "b": {"b64": "AA=="}, "c": True, "d": [1, 2]}],
            },
            [3.0],
        ),
    ],
)
def test_examples(server, verb, body, results):
    status, _, answer = server.ask("POST", f"{ZOO}:{verb}", body)
    assert status == 200 and json.loads(answer) == {"results": results}


@pytest.mark.parametrize("verb", ["classify", "regress"])
@pytest.mark.parametrize(
    "examples",
    [
        None,
        [],
        {},
        [1],
        [{"x": None}],
        [{"x": [1.0, "a"]}],
        [{"x": [[1.0]]}],
        [{"x": {"y": 1}}],
        [{"x": [1, 2]}],
    ],
    ids=str,
)
def test_examples_that_are_none(server, verb, examples):
    status, _, answer = server.ask(
        "POST", f"{ZOO}:{verb}", {"signature_name": verb, "examples": examples}
    )
    assert status == 400 and set(json.loads(answer)) == {"error"}


def test_a_signature_for_tensors_is_not_for_examples(server):
    assert server.ask("POST", f"{ZOO}:classify", {"examples": [{}]})[0] == 400


# Status and metadata


def test_status(server):
    _, _, body = server.ask("GET", ZOO)
    (entry,) = json.loads(body)["model_version_status"]
    assert entry == {
        "version": "3",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }


def test_metadata(server):
    _, _, body = server.ask("GET", f"{ZOO}/metadata")
    document = json.loads(body)
    assert document["model_spec"] == {"name": NAME, "signature_name": "", "version": "3"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert "__saved_model_init_op" in signatures
    default = signatures["serving_default"]
    assert default["method_name"] == "tensorflow/serving/predict" and default["defaults"] == {}
    observation = default["inputs"]["observation"]
    assert observation["dtype"] == "DT_FLOAT" and not observation["tensor_shape"]["unknown_rank"]
    assert [each["size"] for each in observation["tensor_shape"]["dim"]] == ["-1", "4"]
    assert signatures["echo_int64"]["inputs"]["x"]["tensor_shape"]["unknown_rank"] is True
