"""Bodies that are made to end the process, to fill its memory, or to keep it from answering others.

While each is answered, the server is asked for its status: whatever else it does, that answer comes
soon. On a quiet machine it takes a few milliseconds; the bound here is for a busy one.
"""

import gzip
import json

import pytest

import server_process

MB = 1 << 20
SOON = 0.8  # seconds
GOOD = {"instances": [[1, 2, 3, 4]]}
PREDICT = "/v1/models/zoo:predict"


@pytest.fixture(scope="module")
def server(attacked_server):
    assert attacked_server.predict(GOOD)[0] == 200
    return attacked_server


def nested(signature: str, value: bytes, depth: int) -> bytes:
    lists = b"[" * depth + value + b"]" * depth
    return b'{"signature_name": "%s", "inputs": %s}' % (signature.encode(), lists)


# One request that ended the process


@pytest.mark.parametrize("depth", [33, 64, 65, 254, 255, 1000])
@pytest.mark.parametrize(
    "signature, value",
    [("echo_string", b'"a"'), ("blob", b'{"b64": "YQ=="}'), ("echo_float32", b"1")],
)
def test_what_is_nested_too_deep_never_reaches_tensorflow(server, signature, value, depth):
    status, answer = server.predict(nested(signature, value, depth))
    assert status == 400 and "dimensions" in answer["error"]
    assert server.predict(GOOD)[0] == 200


@pytest.mark.parametrize("depth", [2, 33])
def test_strings_deeper_than_their_signature(server, depth):
    status, answer = server.predict(nested("classify", b'"a"', depth))
    assert status == 400 and "more than 1 dimensions" in answer["error"]


def test_rank_32_is_fine(server):
    if server.predict(nested("echo_string", b'"a"', 32))[0] == 200:
        assert server.predict(nested("echo_float32", b"1", 32))[0] == 200


# Little that costs much


def rows(count: int, row: bytes = b"[1,0,0,0]") -> bytes:
    return b'{"instances":[' + b",".join([row] * count) + b"]}"


def note(content: bytes) -> bytes:
    return b'{"note":' + content + b',"instances":[[1,0,0,0]]}'


def echo(signature: str, value: bytes, count: int) -> bytes:
    values = b",".join([value] * count)
    return b'{"signature_name":"%s","inputs":[%s]}' % (signature.encode(), values)


def classify(example: bytes, count: int = 1, context: bytes = b"{}") -> bytes:
    examples = b",".join([example] * count)
    return b'{"signature_name":"classify","context":%s,"examples":[%s]}' % (context, examples)


BODIES = {
    "a long text beside numbers": (
        lambda: json.dumps({"instances": ["x" * 24_000, *[1] * 19_000]}).encode(),
        {400},
        60,
    ),
    "a long text beside numbers, of strings": (
        lambda: json.dumps(
            {"signature_name": "echo_string", "instances": ["x" * 24_000, *[1] * 5_000]}
        ).encode(),
        {400},
        60,
    ),
    "a note of 24 MB": (lambda: note(b'"' + b"x" * 24_000_000 + b'"'), {200}, 150),
    "a note with an escape": (
        lambda: note(b'"\\ud83d\\ude00' + b"x" * 24_000_000 + b'"'),
        {200},
        150,
    ),
    "a note with a letter": (
        lambda: note('"😀'.encode() + b"x" * 24_000_000 + b'"'),
        {200},
        150,
    ),
    "a note of escapes": (lambda: note(b'"' + b"\\n" * 6_000_000 + b'"'), {200}, 150),
    "a note of quotes": (lambda: note(b'"' + b'\\"' * 6_000_000 + b'"'), {200}, 150),
    "a note of lists": (lambda: note(b"[" + b"[]," * 2_000_000 + b"[]]"), {200}, 150),
    "a note of numbers": (lambda: note(b"[" + b"0.5," * 3_000_000 + b"1]"), {200}, 150),
    "a deep note": (lambda: note(b"[" * 400_000 + b"]" * 400_000), {200}, 150),
    "many members": (
        lambda: b'{"instances":[[1,0,0,0]]' + b',"a":1' * 300_000 + b"}",
        {200},
        150,
    ),
    "a million rows": (lambda: rows(1_000_000), {400}, 150),
    "a million empty rows": (lambda: rows(1_000_000, b"[]"), {400}, 150),
    "thirty thousand rows": (lambda: rows(30_000), {200, 400}, 150),
    "a million numbers": (lambda: echo("echo_float32", b"0.5", 1_000_000), {200, 400}, 150),
    "large numbers": (lambda: echo("echo_float32", b"1e9", 200_000), {200, 400}, 150),
    "NaN after NaN": (lambda: echo("echo_float32", b"NaN", 200_000), {200, 400}, 150),
    "a million strings": (lambda: echo("echo_string", b'""', 1_000_000), {400}, 150),
    "ten million bytes": (lambda: rows(1_000_000, b"[1,0,0,0]"), {400}, 150),
    "something after the object": (lambda: rows(1) + b"x" * 24_000_000, {200}, 150),
    "spaces": (lambda: b'{"instances":' + b" " * 24_000_000 + b"[[1,0,0,0]]}", {200}, 150),
}


@pytest.mark.parametrize("name", BODIES)
def test_memory_and_time_are_bounded_by_the_body(server, name):
    make, statuses, megabytes = BODIES[name]
    body = make()
    with server_process.Watch(server) as watch:
        status, _, answer = server.ask("POST", PREDICT, body)
    assert status in statuses, answer[:300]
    assert watch.grown < megabytes * MB, f"{watch.grown / MB:.0f} MB"
    assert watch.slowest < SOON and not watch.failures


EXAMPLES = {
    "a context of which each example gets a copy": classify(
        b"{}", 4000, b'{"y":"' + b"x" * 100_000 + b'"}'
    ),
    "a long context": classify(b"{}", 1, b'{"y":"' + b"x" * 24_000_000 + b'"}'),
    "an example of many numbers": classify(b'{"y":[' + b"0.5," * 6_000_000 + b"1.5]}"),
    "an example of many small integers": classify(b'{"y":[' + b"1," * 12_000_000 + b"1]}"),
    "an example with a long text": classify(b'{"y":"' + b"x" * 24_000_000 + b'"}'),
    "an example with much base64": classify(b'{"y":{"b64":"' + b"QUJD" * 6_000_000 + b'"}}'),
    "an example with many texts": classify(b'{"y":[' + b'"a",' * 6_000_000 + b'""]}'),
    "an example of many features": classify(b'{"y":1' + b',"y":1' * 4_000_000 + b"}"),
    "many examples": classify(b"{}", 8_000_000),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_bounded_by_the_body(server, name):
    with server_process.Watch(server) as watch:
        status, _, answer = server.ask("POST", "/v1/models/zoo:classify", EXAMPLES[name])
    assert status in (200, 400), answer[:300]
    assert watch.grown < 200 * MB, f"{watch.grown / MB:.0f} MB"
    assert watch.slowest < SOON and not watch.failures


@pytest.mark.parametrize("megabytes, statuses", [(200, {413}), (30, {200})])
def test_a_body_that_grows_when_it_is_unpacked(server, megabytes, statuses):
    body = gzip.compress(note(b'"' + b"x" * (megabytes * MB) + b'"'), 1)
    with server_process.Watch(server) as watch:
        status, _, _ = server.ask("POST", PREDICT, body, {"Content-Encoding": "gzip"})
    assert status in statuses and watch.grown < 200 * MB and watch.slowest < SOON


def test_there_is_an_end_to_strings(server):
    """An export's signature `metadata` answers each with the same long text."""
    status, answer = server.predict(echo("echo_string", b'""', 4097))
    assert status == 400 and "4096 strings" in answer["error"]


def test_a_signature_that_was_fast_does_not_hold_up_others_when_it_is_slow(server):
    for _ in range(40):
        assert server.predict({"signature_name": "slow", "inputs": [0.0]})[0] == 200
    with server_process.Watch(server) as watch:
        assert server.predict({"signature_name": "slow", "inputs": [2.0]})[0] == 200
    assert watch.slowest < SOON
