"""Thousands of requests that are nearly right, and bodies made to hurt."""

import time

import pytest

import server_process
import serving_fuzz


@pytest.fixture(scope="module")
def server(zoo_models):
    """A server of the zoo, which has to end without a traceback."""
    flags = f"--model_base_path={zoo_models / 'zoo'}", "--model_name=zoo"
    with server_process.embedded(zoo_models, *flags) as started:
        yield started
        assert started.stop() == 0 and "Traceback" not in started.text, started.text


def test_rest(server):
    seen = serving_fuzz.rest(server.host, server.rest, serving_fuzz.REST, seed=1)
    assert {200, 400, 404} <= set(seen)


def test_rpc(server):
    seen = serving_fuzz.rpc(
        server.host, server.rpc, serving_fuzz.examples(), serving_fuzz.RPC, seed=2
    )
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND"} <= set(seen)


@pytest.mark.parametrize(
    "body",
    [b'{"x": ' + b"[" * 1_000_000, b'{"a":' * 1_000_000, bytes(100 << 20)],
    ids=["lists", "objects", "100 MB"],
)
def test_what_is_too_deep_or_too_large(server, body):
    started = time.monotonic()
    status, _, answer = server.ask("POST", "/v1/models/zoo:predict", body, {"Connection": "close"})
    assert status in (400, 413) and b"error" in answer
    assert time.monotonic() - started < 30  # on a quiet machine, half a second
    assert server.predict({"instances": [[1, 2, 3, 4]]})[0] == 200
