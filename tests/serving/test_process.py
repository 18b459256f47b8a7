"""The server as a command:

flags, several models, labels, limits, batching, metrics, and how it starts and stops.
"""

import concurrent.futures
import signal
import socket
import subprocess
import sys
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_management_pb2, predict_pb2

import command_server
import server_process
import signature_zoo
from dqn_tf.serving.server import DRAIN_SECONDS
from server_process import ROOT

ROW = [1.0, 2.0, 3.0, 4.0]
BODY = {"instances": [ROW]}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """a/1, a/2, b/5 and the big zoo/1."""
    made = tmp_path_factory.mktemp("serving-process")
    for name in ("a", "b", "empty"):
        (made / name).mkdir()
    for path, offset in (("a/1", 100.0), ("a/2", 200.0), ("b/5", 500.0)):
        signature_zoo.save_small(made / path, offset)
    signature_zoo.save(made / "zoo" / "1")
    return made


def config(directory, *models: str) -> str:
    """A ModelServerConfig of "NAME further fields" each."""
    parts = []
    for model in models:
        name, _, more = model.partition(" ")
        parts.append(
            f'config {{ name: "{name}" base_path: "{directory / name}" model_platform: "tensorflow"'
            f" {more} }}\n"
        )
    return "model_config_list {" + "".join(parts) + "}"


# Flags


@pytest.mark.parametrize(
    "flags, words",
    [
        ([], "--model_base_path"),
        (["--model_base_path=x", "--model_config_file=y"], "--model_config_file"),
        (["--model_config_file=none"], "is no file"),
        ([f"--model_config_file={'a' * 300}"], "cannot be read: File name too long"),
        ([f"--model_base_path={'a' * 300}"], "cannot be read: File name too long"),
        (["--model_base_path=x", "--model_name=a\udcff"], "is no text in UTF-8"),
        (["--model_base_path=x", "--model_name="], "is empty"),
        (["--model_base_path=x", "--port=0", "--rest_api_port=0"], "nothing could be asked"),
        (["--model_base_path=x", "--port=70000"], "--port=70000"),
        (["--model_base_path=x", "--port=8501"], "the same"),
        (["--model_base_path=x", "--batching_parameters_file=y"], "--enable_batching"),
        (["--model_base_path=x", "--max_request_bytes=0"], "--max_request_bytes=0"),
        (["--model_base_path=x", "--rest_api_timeout_in_ms=-1"], "negative"),
        (["--model_base_path=x", "--grpc_channel_arguments=y"], "NAME=VALUE"),
        (["--none=1"], "none"),
        (["--model_base_path=x", "rest"], "'rest'"),
    ],
)
def test_a_mistake_in_a_flag_is_one_sentence(flags, words, tmp_path):
    assert words in command_server.refusal(flags, tmp_path, "dqn_tf.serving")


def test_help_names_every_flag():
    import dataclasses

    from dqn_tf.serving.options import HELP, Options

    done = subprocess.run(
        [sys.executable, "-m", "dqn_tf.serving", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    names = [field.name for field in dataclasses.fields(Options)]
    assert done.returncode == 0 and sorted(names) == sorted(HELP)
    assert all(f"{name}:" in done.stdout.replace("\n", "") for name in names)


# One server with everything on


@pytest.fixture(scope="module")
def server(directory):
    """Models a (all versions), b and zoo, with batching, CORS, metrics, health, small limits."""
    (directory / "models").write_text(
        config(directory, "a model_version_policy{all{}}", "b", "zoo"), encoding="utf-8"
    )
    (directory / "batching").write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 2000 } max_enqueued_batches {"
        " value: 4 }\nnum_batch_threads { value: 1 } allowed_batch_sizes: [4, 8]",
        encoding="utf-8",
    )
    (directory / "monitoring").write_text(
        'prometheus_config { enable: true path: "/metrics" }', encoding="utf-8"
    )
    with server_process.embedded(
        directory,
        f"--model_config_file={directory / 'models'}",
        "--model_config_file_poll_wait_seconds=0.2",
        "--enable_batching",
        f"--batching_parameters_file={directory / 'batching'}",
        f"--monitoring_config_file={directory / 'monitoring'}",
        "--rest_api_enable_cors_support",
        "--enable_grpc_healthcheck_service",
        "--enable_serialization_as_tensor_content",
        "--max_request_bytes=1000000",
        "--max_json_depth=1000",
        "--max_concurrent_requests=24",
        "--rest_api_timeout_in_ms=2500",
        "--file_system_poll_wait_seconds=0.2",
    ) as started:
        yield started
        assert started.process.poll() is None, started.text
        assert "Traceback" not in started.text


def offset(server, which: str) -> float:
    status, answer = server.predict(BODY, f"/v1/models/{which}")
    assert status == 200, answer
    return answer["predictions"][0]["q_values"][0] - 6.0


def test_several_models_and_versions(server):
    assert [offset(server, which) for which in ("a", "a/versions/1", "a/versions/2", "b")] == [
        200.0,
        100.0,
        200.0,
        500.0,
    ]


def test_cors_headers_are_on_every_reply(server):
    for method, path in (
        ("GET", "/v1/models/a"),
        ("POST", "/v1/models/none:predict"),
        ("OPTIONS", "/v1/models/a"),
    ):
        _, headers, _ = server.ask(
            method, path, BODY if method == "POST" else None, {"Origin": "http://x.example"}
        )
        assert (
            headers["access-control-allow-origin"] == "*"
            and headers["access-control-allow-methods"] == "POST, GET"
        )
        assert headers["access-control-allow-headers"] == "Content-Type"


def test_health(server):
    stub = health_pb2_grpc.HealthStub(server.channel)
    for name in ("ModelService", "PredictionService"):
        assert (
            stub.Check(health_pb2.HealthCheckRequest(service=name)).status
            == health_pb2.HealthCheckResponse.SERVING
        )
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="Other"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def request(signature: str, name: str = "zoo", **inputs) -> predict_pb2.PredictRequest:
    made = predict_pb2.PredictRequest()
    made.model_spec.name, made.model_spec.signature_name = name, signature
    for alias, value in inputs.items():
        made.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return made


def test_tensors_as_content(server):
    answer = server.prediction.Predict(request("serving_default", observation=np.float32([ROW])))
    assert answer.outputs["q_values"].tensor_content and not answer.outputs["q_values"].float_val
    assert tf.make_ndarray(answer.outputs["q_values"]).tolist() == [[6.0, 3.0]]


def test_metrics(server):
    server.predict(BODY, "/v1/models/a")
    server.predict({}, "/v1/models/a")
    server.predict(BODY, "/v1/models/none")
    server.ask("GET", "/v1/nothing")
    status, headers, body = server.ask("GET", "/metrics")
    text = body.decode()
    assert status == 200 and headers["content-type"].startswith("text/plain")
    for line in (
        ':tensorflow:serving:request_count{model_name="a",status="OK"}',
        ':tensorflow:serving:request_count{model_name="a",status="INVALID_ARGUMENT"}',
        ':tensorflow:serving:request_count{model_name="",status="INVALID_ARGUMENT"}',
        ":tensorflow:serving:model_warmup_latency_count{",
        ':tensorflow:serving:request_latency_bucket{model_name="a",API="Predict",entrypoint="REST",le="10"}',
        ':tensorflow:serving:runtime_latency_count{model_name="a",API="Predict",runtime="TF1"}',
    ):
        assert line in text, line
    for number in (
        line.rsplit(" ", 1)[1] for line in text.splitlines() if not line.startswith("#")
    ):
        assert float(number) >= 0


# Batching


def test_requests_that_are_joined_get_their_own_rows(server):
    """Also where one of them has another shape, or is refused by the model."""

    def ask(index: int):
        x = np.full((1, 2 + (index % 5 == 4)), -1.0 if index % 7 == 6 else index, np.float32)
        try:
            return (
                tf.make_ndarray(
                    server.prediction.Predict(request("fussy", x=x)).outputs["y"]
                ).tolist()
                == x.tolist(),
                x.min() >= 0,
            )
        except grpc.RpcError as error:
            return error.code() == grpc.StatusCode.INVALID_ARGUMENT, x.min() < 0

    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        assert set(threads.map(ask, range(120))) == {(True, True)}


def test_a_batch_is_padded_to_an_allowed_size(server):
    """Only a server that padded 3 rows to 4 finds `double_rows`, which gives 2 for 1, to be wrong;
    and rest and gRPC say so.
    """
    status, answer = server.predict(
        {"signature_name": "double_rows", "inputs": [[1.0]] * 3}, "/v1/models/zoo"
    )
    assert status == 400 and "[8, 1] for 4 rows" in answer["error"]


@pytest.mark.parametrize("inputs, status", [([ROW] * 8, 200), ([ROW] * 9, 400), ([], 400)])
def test_a_request_beyond_the_largest_batch(server, inputs, status):
    assert server.predict({"inputs": inputs}, "/v1/models/zoo")[0] == status


def test_an_empty_batch_in_a_batch(server):
    answer = server.prediction.Predict(
        request("serving_default", observation=np.zeros((0, 4), np.float32))
    )
    assert tf.make_ndarray(answer.outputs["q_values"]).shape == (0, 2)


def test_what_takes_too_long_and_what_is_too_much(server):
    """One thread, four batches at most waiting:

    of 20 slow requests with a shape of their own most are refused at once, the others in time.
    """

    def slow(rows: int):
        started = time.monotonic()
        address = server_process.Address(server.host, server.rest, server.rpc)
        return (
            address.predict({"signature_name": "slow", "inputs": [0.5] * rows}, "/v1/models/zoo")[
                0
            ],
            time.monotonic() - started,
        )

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        found = list(threads.map(slow, [8] * 20))
    statuses = {status for status, _ in found}
    assert statuses <= {200, 503, 504} and 503 in statuses
    status, answer = server.predict({"signature_name": "slow", "inputs": [600.0]}, "/v1/models/zoo")
    assert status == 504 and "2500 ms" in answer["error"]
    server_process.wait(
        lambda: server.predict(BODY, "/v1/models/zoo")[0] == 200, "the stuck batch to end"
    )


# Limits


def test_bodies_too_large(server):
    assert server.predict({"instances": [ROW], "x": "a" * 900_000}, "/v1/models/a")[0] == 200
    assert server.predict({"instances": [ROW], "x": "a" * 1_000_000}, "/v1/models/a")[0] == 413


@pytest.mark.parametrize("chunked", [False, True])
def test_a_hundred_megabytes_are_refused_before_they_are_read(server, chunked):
    with socket.create_connection((server.host, server.rest), 30) as connection:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {100 << 20}"
        connection.sendall(
            f"POST /v1/models/a:predict HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode()
        )
        if chunked:
            connection.sendall(
                b"".join(b"%x\r\n%s\r\n" % (1 << 16, bytes(1 << 16)) for _ in range(20))
            )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_nesting(server):
    many = ", ".join(["[]"] * 3_000)  # not deep
    assert (
        server.predict(f'{{"x": [{many}], "instances": [[1, 2, 3, 4]]}}', "/v1/models/a")[0] == 200
    )
    for depth, status in ((900, 200), (1001, 400), (5_000, 400), (200_000, 400)):
        for beside in ("", "[", r"[\"", "}"):  # in a string it nests nothing, escaped or not
            body = (
                f'{{"y": "{beside * 2_000}", "x": {"[" * depth}{"]" * depth}, "instances": [[1, 2,'
                " 3, 4]]}"
            )
            assert server.predict(body, "/v1/models/a")[0] == status


def test_too_many_requests_at_once(server):
    """There are 24 places, and each is counted once."""

    def slow(_: int) -> int:
        address = server_process.Address(server.host, server.rest, server.rpc)
        body = {"signature_name": "slow", "inputs": [0.5]}
        return address.predict(body, "/v1/models/zoo")[0]

    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        statuses = list(threads.map(slow, range(40)))
    assert statuses.count(429) == 16 and statuses.count(200) == 24
    assert server.predict(BODY, "/v1/models/a")[0] == 200


# Configuration


def reload(text_of: str) -> model_management_pb2.ReloadConfigRequest:
    from google.protobuf import text_format

    made = model_management_pb2.ReloadConfigRequest()
    text_format.Parse(text_of, made.config)
    return made


def refused(server) -> int:
    """How many requests that name no model were answered with FAILED_PRECONDITION."""
    counter = ':tensorflow:serving:request_count{model_name="",status="FAILED_PRECONDITION"} '
    text = server.ask("GET", "/metrics")[2].decode()
    return sum(int(line.removeprefix(counter)) for line in text.splitlines() if counter in line)


def test_labels_and_a_changed_file(server, directory):
    server.model.HandleReloadConfigRequest(
        reload(
            config(
                directory,
                "a model_version_policy{all{}} version_labels{key:'stable' value:1}",
                "zoo",
            )
        )
    )
    assert offset(server, "a/labels/stable") == 100.0
    assert server.predict(BODY, "/v1/models/a/labels/canary")[0] == 400
    assert server.predict(BODY, "/v1/models/b")[0] == 404, "a model that was left out is unloaded"
    before = refused(server)
    with pytest.raises(grpc.RpcError) as caught:
        server.model.HandleReloadConfigRequest(
            reload(
                config(
                    directory,
                    "a model_version_policy{all{}} version_labels{key:'x' value:7}",
                    "zoo",
                )
            )
        )
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    server_process.wait(lambda: refused(server) == before + 1, "the refusal among the metrics")
    made = request("", name="a", observation=np.float32([ROW]))
    made.model_spec.version_label = "stable"
    assert server.prediction.Predict(made).model_spec.version.value == 1
    (directory / "models").write_text("this is no configuration", encoding="utf-8")
    server_process.wait(lambda: "stays as it was" in server.text, "a word about the file")
    assert offset(server, "a") == 200.0
    (directory / "models").write_text(
        config(directory, "a model_version_policy{specific{versions:1}}", "b", "zoo"),
        encoding="utf-8",
    )
    server_process.wait(
        lambda: server.states("a").get(2) == "END" and server.states("b").get(5) == "AVAILABLE",
        "the new configuration",
    )
    assert offset(server, "a") == 100.0


# Start and stop


def test_it_waits_for_a_first_version_and_drains(tmp_path, directory):
    (tmp_path / "m").mkdir()
    with server_process.embedded(
        tmp_path,
        f"--model_base_path={tmp_path / 'm'}",
        "--file_system_poll_wait_seconds=0.2",
        "--host=0.0.0.0",
        ready=False,
    ) as server:
        server_process.wait(lambda: "waiting for a version" in server.text, "waiting")
        assert "REST on" not in server.text and server.process.poll() is None
        signature_zoo.save(tmp_path / "m" / "1")
        server.listens()
        assert "nothing is authenticated" in server.text
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            rest = threads.submit(
                server.predict, {"signature_name": "slow", "inputs": [1.5]}, "/v1/models/default"
            )
            rpc = threads.submit(
                server.prediction.Predict,
                request("slow", name="default", seconds=np.float32([1.5])),
            )
            time.sleep(0.5)
            server.process.kill(signal.SIGTERM)
            assert rest.result()[0] == 200 and rpc.result().outputs
        assert server.ended() == 0 and "Traceback" not in server.text, server.text


def test_a_silent_call_and_one_that_watches_hold_nothing_up(tmp_path, directory):
    flags = (f"--model_base_path={directory / 'a'}", "--enable_grpc_healthcheck_service")
    with server_process.embedded(tmp_path, *flags) as server:
        service = health_pb2.HealthCheckRequest(service="ModelService")
        watching = health_pb2_grpc.HealthStub(server.channel).Watch(service)
        assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
        never = threading.Event()
        path = "/tensorflow.serving.PredictionService/Predict"
        silent = server.channel.stream_unary(path).future(iter(never.wait, True))
        time.sleep(0.5)
        began = time.monotonic()
        server.process.kill(signal.SIGTERM)
        assert server.ended() == 0
        assert time.monotonic() - began < DRAIN_SECONDS / 2
        assert "cut off" not in server.text and "exception" not in server.text
        never.set()
        silent.cancel()


@pytest.mark.parametrize(
    "labels, flag",
    [(True, ()), (True, ("--allow_version_labels_for_unavailable_models",)), (False, ())],
    ids=["labels", "labels allowed", "broken"],
)
def test_what_cannot_start(tmp_path, directory, labels, flag):
    if labels:
        (tmp_path / "models").write_text(
            config(directory, "a version_labels{key:'x' value:2}"), encoding="utf-8"
        )
        flags = [f"--model_config_file={tmp_path / 'models'}", *flag]
    else:
        (tmp_path / "7").mkdir()
        flags = [f"--model_base_path={tmp_path}"]
    with server_process.embedded(tmp_path, *flags, ready=False) as server:
        if flag:
            server.listens()
            assert offset(server, "a/labels/x") == 200.0
            assert server.stop() == 0
        else:
            assert server.ended() == 1 and "Traceback" not in server.text
            assert (
                "Cannot assign label" if labels else "version 7 cannot be loaded"
            ) in server.text.splitlines()[-1]


def test_sigterm_while_it_waits(tmp_path):
    with server_process.embedded(
        tmp_path, f"--model_base_path={tmp_path / 'none'}", ready=False
    ) as server:
        server_process.wait(lambda: "waiting for a version" in server.text, "waiting")
        assert server.stop() == 0 and "Traceback" not in server.text, server.text
