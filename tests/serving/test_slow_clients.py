"""Clients that send slowly, do not read, or say nothing: they cost the others nothing."""

import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import socket
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

import server_process

GOOD = {"instances": [[1, 2, 3, 4]]}
HEAD = b"POST /v1/models/zoo:predict HTTP/1.1\r\nHost: localhost\r\n"
DRAIN_SECONDS = 6  # in place of half a minute
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def server(zoo_models):
    """A server with few descriptors and places, and little time for a request and for its head."""
    with server_process.embedded(
        zoo_models,
        f"--model_base_path={zoo_models / 'zoo'}",
        "--model_name=zoo",
        "--rest_api_timeout_in_ms=3000",
        "--max_concurrent_requests=8",
        "--enable_grpc_healthcheck_service",
        max_descriptors=400,
        constants={
            "http.connections.HEAD_SECONDS": 2,
            "http.body.GRACE_SECONDS": 0.5,
            "grpc.server.HANDSHAKE_MS": 2000,
        },
    ) as process:
        assert process.predict(GOOD)[0] == 200
        yield process
        assert process.stop() == 0 and "Traceback" not in process.text, process.text
        assert len(process.text.splitlines()) < 30, process.text


@contextlib.contextmanager
def sockets(port: int, count: int, data: bytes = b""):
    """Connections on which this much is sent."""
    made = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(("127.0.0.1", port), 30))
            made[-1].sendall(data)
        yield made
    finally:
        for connection in made:
            connection.close()


def received(connection: socket.socket) -> bytes:
    """What came until the other side closed the connection."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def test_a_body_that_comes_slowly_takes_no_place(server):
    """There are 8 places, and 100 clients that send a byte now and then."""
    with sockets(server.rest, 100, HEAD + b"Content-Length: 1000\r\n\r\n{") as slow:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.2):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            for _ in range(20):
                assert server.predict(GOOD)[0] == 200
        finally:
            stop.set()
            thread.join()
        slow[0].settimeout(30)
        assert received(slow[0]).startswith(b"HTTP/1.1 504 ")


def test_bodies_that_stall_make_way_for_others(server):
    """They hold all the room that bodies of up to a megabyte have."""
    head = HEAD + b"Content-Length: 1048570\r\n\r\n"
    body = {"instances": [[1, 2, 3, 4]] * 1_500}
    assert len(json.dumps(body)) > 16 << 10
    with sockets(server.rest, 16, head + b" " * 1_048_000):
        time.sleep(1)
        assert server.predict(body)[0] == 200


@pytest.mark.parametrize(
    "data", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n"], ids=["silent", "head", "body"]
)
def test_half_open_connections_leave_room_for_others(server, data):
    """Many more than there are descriptors: new ones replace those that wait."""
    with sockets(server.rest, 0) as many:
        for _ in range(500):
            with contextlib.suppress(OSError):
                many.append(socket.create_connection(("127.0.0.1", server.rest), 30))
                many[-1].sendall(data)
        for _ in range(5):
            address = server_process.Address(server.host, server.rest, server.rpc)
            status = address.predict(GOOD)[0]
            assert status == 200
        assert server.descriptors() < 400


def test_a_head_that_does_not_come_is_not_waited_for(server):
    with sockets(server.rest, 2, HEAD) as (first, second):
        first.settimeout(40)
        started = time.monotonic()
        for _ in range(10):  # also if a byte of it comes now and then
            with contextlib.suppress(OSError):
                second.sendall(b"x")
            time.sleep(0.1)
        assert received(first) == b"" and time.monotonic() - started < 10
        second.settimeout(40)
        assert received(second) == b"" and time.monotonic() - started < 10


def test_descriptors_come_back(server):
    before = server.descriptors()
    for _ in range(3):
        with sockets(server.rest, 50, HEAD):
            pass
        with sockets(server.rpc, 50, b"PRI * HTTP/2.0\r\n"):
            pass
    server_process.wait(lambda: server.descriptors() <= before + 5, "descriptors")


# gRPC


def silent_calls(channel: grpc.Channel, method: str, count: int) -> list[grpc.Future]:
    """Calls whose message does not come."""
    never = threading.Event()

    def messages():
        never.wait(60)
        yield b""

    return [channel.stream_unary(method).future(messages()) for _ in range(count)]


@pytest.mark.parametrize("method", [PREDICT, "/grpc.health.v1.Health/Check"])
def test_calls_without_a_message_keep_nobody_out(server, method):
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(f"127.0.0.1:{server.rpc}", options) for _ in range(4)]
    calls = [call for channel in channels for call in silent_calls(channel, method, 90)]
    try:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "zoo"
        tensor = tf.make_tensor_proto(np.ones((1, 4), np.float32))
        request.inputs["observation"].CopyFrom(tensor)
        for _ in range(5):
            assert server.prediction.Predict(request, timeout=20).outputs
        stub = health_pb2_grpc.HealthStub(server.channel)
        message = health_pb2.HealthCheckRequest(service="ModelService")
        assert stub.Check(message, timeout=20).status == health_pb2.HealthCheckResponse.SERVING
        assert next(stub.Watch(message, timeout=20)).status == 1
    finally:
        for call in calls:
            call.cancel()
        for channel in channels:
            channel.close()


def test_there_is_an_end_to_watchers(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    message = health_pb2.HealthCheckRequest(service="ModelService")
    watches = [stub.Watch(message, timeout=60) for _ in range(300)]
    codes = [first_code(watch) for watch in watches]
    assert codes.count("OK") <= 128 and "RESOURCE_EXHAUSTED" in codes
    assert stub.Check(message, timeout=20).status == health_pb2.HealthCheckResponse.SERVING
    for watch in watches:
        watch.cancel()
    server_process.wait(lambda: first_code(stub.Watch(message, timeout=20)) == "OK", "a place")


def first_code(stream) -> str:
    """The code of a stream that ended at once, or OK."""
    try:
        next(stream)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def test_connections_that_say_nothing_do_not_close_the_port_of_grpc(server):
    """Those that come after them get in when the silent ones have had their time."""
    with sockets(server.rpc, 0) as many:
        for _ in range(500):
            with contextlib.suppress(OSError):
                many.append(socket.create_connection(("127.0.0.1", server.rpc), 30))
        assert server.descriptors() < 400
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 1000)]
        with grpc.insecure_channel(f"127.0.0.1:{server.rpc}", options) as channel:
            call = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
            request = get_model_status_pb2.GetModelStatusRequest()
            request.model_spec.name = "zoo"
            assert call(request.SerializeToString(), timeout=60, wait_for_ready=True)


# Slow requests


def test_quick_requests_pass_slow_ones(server):
    """All places, threads and lanes are taken by requests that keep both cores busy for seconds."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "zoo"
    request.inputs["observation"].CopyFrom(tf.make_tensor_proto(np.ones((1, 4), np.float32)))
    for _ in range(50):  # so that it is known to be quick
        assert server.predict(GOOD)[0] == 200
    body = {"signature_name": "slow", "inputs": [0.8]}

    def ask(_: int) -> int:
        return server_process.Address(server.host, server.rest, server.rpc).predict(body)[0]

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        rest = [threads.submit(ask, number) for number in range(20)]
        calls = [server.prediction.Predict.future(slow_request(0.8)) for _ in range(20)]
        server_process.wait(lambda: sum(call.done() for call in calls) == 12, "refusals")
        for _ in range(3):
            assert server.predict(GOOD)[0] == 200
            assert server.prediction.Predict(request, timeout=20).outputs
        assert not all(call.done() for call in calls)
        statuses = [each.result() for each in rest]
        codes = [call.code().name for call in calls]
    assert statuses.count(429) == 12 and codes.count("RESOURCE_EXHAUSTED") == 12


# The end


def slow_request(seconds: float) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "zoo"
    request.model_spec.signature_name = "slow"
    request.inputs["seconds"].CopyFrom(tf.make_tensor_proto(np.float32([seconds])))
    return request


@pytest.fixture
def stopping(zoo_models):
    """A server with a client that does not read, a slow body, and a call without a deadline."""
    flags = f"--model_base_path={zoo_models / 'zoo'}", "--model_name=zoo"
    body = b'{"signature_name":"echo_float32","inputs":[' + b"0.125," * 2_000_000 + b"1]}"
    head = HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    with (
        server_process.embedded(
            zoo_models, *flags, constants={"server.DRAIN_SECONDS": DRAIN_SECONDS}
        ) as process,
        sockets(process.rest, 1, head + body),
        sockets(process.rest, 5, HEAD + b"Content-Length: 9\r\n\r\n"),
    ):
        call = process.prediction.Predict.future(slow_request(200.0))
        time.sleep(2.0)
        yield process
        call.cancel()


def test_there_is_one_patience_for_everything(stopping):
    started = time.monotonic()
    assert stopping.stop() == 0
    assert DRAIN_SECONDS <= time.monotonic() - started < DRAIN_SECONDS + 5
    assert "cut off" in stopping.text and "Traceback" not in stopping.text


def test_a_second_signal_hurries(stopping):
    started = time.monotonic()
    stopping.process.kill(signal.SIGTERM)
    time.sleep(1.0)
    assert stopping.stop() == 0 and time.monotonic() - started < DRAIN_SECONDS - 1


def test_what_is_at_work_is_finished(zoo_models):
    """Over REST and gRPC; a client that is idle keeps nothing up."""
    flags = f"--model_base_path={zoo_models / 'zoo'}", "--model_name=zoo"
    with server_process.embedded(zoo_models, *flags) as process:
        assert process.predict(GOOD)[0] == 200  # and keeps its connection
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            address = server_process.Address(process.host, process.rest, process.rpc)
            rest = threads.submit(address.predict, {"signature_name": "slow", "inputs": [2.0]})
            rpc = process.prediction.Predict.future(slow_request(2.0))
            time.sleep(1.0)
            started = time.monotonic()
            process.process.kill(signal.SIGTERM)
            assert rest.result()[0] == 200 and rpc.result().outputs
        assert process.ended() == 0 and time.monotonic() - started < 20


def test_a_load_that_hangs_does_not_hang_the_end(zoo_models, tmp_path):
    """A pipe into which nobody writes keeps the load waiting for ever."""
    version = tmp_path / "zoo" / "1"
    shutil.copytree(zoo_models / "zoo" / "1", version)
    (data,) = (version / "variables").glob("variables.data*")
    data.unlink()
    os.mkfifo(data)
    flags = f"--model_base_path={tmp_path / 'zoo'}", "--model_name=zoo"
    with server_process.embedded(tmp_path, *flags, ready=False) as process:
        server_process.wait(lambda: "LOADING" in process.text, "LOADING")
        started = time.monotonic()
        assert process.stop() == 0 and time.monotonic() - started < 20
