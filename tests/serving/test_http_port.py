"""The HTTP port around the API: hosts, targets, pages, metrics, and what is no HTTP at all."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

import command_server
import server_process
from dqn_tf.serving.http import hosts
from dqn_tf.serving.http.hosts import Hosts
from server_process import ROOT

BODY = {"instances": [[1.0, 2.0, 3.0, 4.0]]}
METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def server(zoo_models, tmp_path_factory):
    """A server with the demo's pages, metrics, and a name of its own."""
    directory = tmp_path_factory.mktemp("http-port")
    (directory / "monitoring").write_text("prometheus_config { enable: true }", encoding="utf-8")
    with server_process.embedded(
        directory,
        f"--model_base_path={zoo_models / 'zoo'}",
        "--model_name=zoo",
        f"--monitoring_config_file={directory / 'monitoring'}",
        "--demo",
        "--allowed_hosts=robot.example,Other.Example",
    ) as process:
        yield process
        assert process.process.poll() is None and "Traceback" not in process.text, process.text


# Hosts


@pytest.mark.parametrize(
    "host, is_answered",
    [
        ("localhost", True),
        ("localhost:8501", True),
        ("LOCALHOST.", True),
        ("127.0.0.1:1", True),
        ("[::1]:8501", True),
        ("::1", True),
        ("192.168.0.7", True),
        ("robot.example", True),
        ("ROBOT.example:8501", True),
        ("other.example", True),
        ("", True),
        ("evil.example", False),
        ("evil.example:8501", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("robot.example.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("[evil.example]", False),
    ],
)
def test_a_name_from_elsewhere_is_not_answered(server, host, is_answered):
    """It may be one that was made to point to this machine (DNS rebinding)."""
    for method, path in (
        ("GET", "/v1/models/zoo"),
        ("POST", "/v1/models/zoo:predict"),
        ("GET", "/"),
        ("GET", METRICS),
    ):
        status, _, _ = server.ask(method, path, BODY if method == "POST" else None, {"Host": host})
        assert status == (200 if is_answered else 403)


def test_the_host_flag_is_a_name_too():
    assert Hosts("my.example").allows("my.example:8501")
    assert not Hosts("127.0.0.1").allows("my.example")


# Targets


@pytest.mark.parametrize(
    "target, expected",
    [
        ("/v1/models/zoo", (None, "/v1/models/zoo")),
        ("http://localhost/v1/models/zoo", ("localhost", "/v1/models/zoo")),
        ("HTTP://user@a.example:80/x?y", ("a.example:80", "/x?y")),
        ("https://a.example", ("a.example", "/")),
        ("http://a.example?x", ("a.example", "/?x")),
        ("httpx://a/b", (None, "httpx://a/b")),
    ],
)
def test_a_target_has_a_host_or_not(target, expected):
    assert hosts.split_target(target) == expected


def test_the_absolute_form_is_the_same_as_the_path(server):
    """A client that asks through a proxy sends it."""
    origin = f"http://127.0.0.1:{server.rest}"
    assert server.ask("GET", f"{origin}/v1/models/zoo")[0] == 200
    assert server.ask("POST", f"{origin}/v1/models/zoo:predict", BODY)[0] == 200
    assert server.ask("GET", f"{origin}{METRICS}")[0] == 200
    assert server.ask("GET", f"{origin}/none")[0] == 404
    assert server.ask("GET", "http://evil.example/v1/models/zoo")[0] == 403


# Pages and metrics


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/page/models.json", "/none"])
def test_head_is_get_without_the_body(server, path):
    connection = http.client.HTTPConnection(server.host, server.rest, timeout=30)
    replies = []
    for method in ("GET", "HEAD"):
        connection.request(method, path)
        reply = connection.getresponse()
        replies.append((reply.status, reply.getheader("Content-Type"), reply.read()))
    connection.close()
    (status, content_type, body), head = replies
    assert body and head == (status, content_type, b"")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_metrics_by_any_method(server, method):
    status, headers, body = server.ask(method, METRICS)
    assert status == 200 and headers["content-type"].startswith("text/plain")
    assert b"request_count" in body


def test_metrics_take_no_query(server):
    status, headers, body = server.ask("GET", f"{METRICS}?name=x")
    assert status == 400 and headers["content-type"].startswith("text/plain")
    assert body.decode() == f"Unexpected path: {METRICS}?name=x. Should be {METRICS}"
    assert server.ask("GET", f"{METRICS}/x")[0] == 404


# What is no HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 2_000 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
    ids=lambda data: repr(data[:30]),
)
def test_a_malformed_request_leaves_no_lines_in_the_log(server, data):
    before = server.text
    for _ in range(3):
        with socket.create_connection((server.host, server.rest), 30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            reply = connection.recv(1 << 16)
            assert not reply or reply.startswith(b"HTTP/")
    assert server.predict(BODY)[0] == 200
    assert server.text == before


@pytest.mark.parametrize("is_late", [False, True])
def test_chunks_that_are_none_are_told_at_once(server, is_late):
    """Whether they come with the head or after it; it ended after the time of a request."""
    head = b"POST /v1/models/zoo:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((server.host, server.rest), 30) as connection:
        connection.settimeout(10)
        if is_late:
            connection.sendall(head + b"3\r\nabc\r\n")
            time.sleep(0.3)
            head = b""
        connection.sendall(head + b"zz\r\nabc\r\n")
        reply = b""
        while part := connection.recv(1 << 16):  # until the server closes
            reply += part
    assert reply.split()[1] == b"400" and reply.count(b"HTTP/1.") == 1
    assert not is_late or b"The body is not in chunks" in reply
    assert server.predict(BODY)[0] == 200


def test_long_bodies_in_small_pieces_hold_nobody_up(server):
    """A hundred clients send chunks of one byte as fast as they can."""
    chunks = b"1\r\n \r\n" * 2_000
    head = b"POST /v1/models/zoo:predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    end = threading.Event()

    def send() -> None:
        address = server.host, server.rest
        with contextlib.suppress(OSError), socket.create_connection(address, 30) as connection:
            # little lies in the sockets at the end, which the server has to read
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
            connection.sendall(head)
            while not end.is_set():
                connection.sendall(chunks)

    before = server.descriptors()
    threads = [threading.Thread(target=send) for _ in range(100)]
    for thread in threads:
        thread.start()
    try:
        with server_process.Watch(server) as watch:
            time.sleep(3.0)
    finally:
        end.set()
        for thread in threads:
            thread.join()
    # what they sent is in the sockets still, and counts as at work until it has been read
    server_process.wait(lambda: server.descriptors() <= before + 2, "their connections are gone")
    assert watch.slowest < 0.8 and not watch.failures
    assert watch.grown < 150 << 20


def test_many_pipelined_requests_are_answered_in_their_order(server):
    request = b"GET /v1/models/zoo/versions/%d HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection((server.host, server.rest), 30) as connection:
        sent = b"".join(request % (3 - number % 2) for number in range(1000))
        thread = threading.Thread(target=connection.sendall, args=(sent,))
        thread.start()
        reader = connection.makefile("rb")
        statuses = []
        for _ in range(1000):
            statuses.append(int(reader.readline().split()[1]))
            headers = http.client.parse_headers(reader)
            reader.read(int(headers["Content-Length"]))
        thread.join()
    assert statuses == [200, 404] * 500


def test_a_long_body_that_is_refused_is_read_to_its_end(server):
    """So that the client gets to the reply, and may use the connection again."""
    for method, path, status in (
        ("POST", "/v1/models/none:predict", 404),
        ("PUT", "/v1/models/zoo", 400),
        ("GET", "/v1/models/zoo", 200),
    ):
        for _ in range(2):
            body = b'{"instances": [[1, 2, 3, 4]], "note": "' + b"x" * 1_000_000 + b'"}'
            assert server.ask(method, path, body)[0] == status


# Addresses and flags


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6")
def test_an_address_of_ipv6_is_printed_in_brackets(zoo_models, tmp_path):
    flags = f"--model_base_path={zoo_models / 'zoo'}", "--model_name=zoo", "--host=::1", "--demo"
    with server_process.embedded(tmp_path, *flags) as process:
        for text in ("REST on http://[::1]:", "page on http://[::1]:", "gRPC on [::1]:"):
            assert text in process.text
        process.host = "::1"
        assert process.predict(BODY)[0] == 200


def run(*flags: str) -> subprocess.CompletedProcess:
    """The server in a process of its own, which ends before it has loaded anything."""
    return subprocess.run(
        [sys.executable, "-m", "dqn_tf.serving", "--model_base_path=/nowhere", *flags],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "flag",
    [
        "--port=99999999999999999999",
        "--rest_api_timeout_in_ms=10000000000000000000000",
        "--max_request_bytes=4294967296",
        "--max_json_depth=0",
        "--grpc_max_threads=1000000000",
        "--rest_api_num_threads=1000000000",
        "--tensorflow_intra_op_parallelism=100000000000",
        "--tensorflow_inter_op_parallelism=-1",
        "--file_system_poll_wait_seconds=nan",
        "--file_system_poll_wait_seconds=inf",
        "--file_system_poll_wait_seconds=1e-300",
        "--model_config_file_poll_wait_seconds=1e300",
        "--load_retries_interval_micros=10000000000000000000000000",
        "--log_requests_sample=nan",
        "--log_requests_max_bytes=10000000000000000000000000",
        "--max_num_load_retries=-1",
        "--max_connections=0",
        "--grpc_channel_arguments=grpc.keepalive_time_ms=99999999999",
        "--grpc_channel_arguments==1",
        "--model_name=",
        f"--model_base_path={ROOT}/saved_models/CartPole-v1/1",
        f"--model_base_path={ROOT}/setup.py",
    ],
)
def test_a_value_out_of_range_is_one_sentence(flag, tmp_path):
    words = ["--model_base_path=/nowhere", flag]
    status, text = command_server.run(words, tmp_path, "dqn_tf.serving")
    assert status == 1 and text.startswith("error: ")
    name = flag.split("=")[0]
    assert name in text and len(text.splitlines()) == 1


@pytest.mark.parametrize("host", ["256.1.1.1", "a b", "x" * 300, "1.2.3.4"])
def test_a_host_that_cannot_be_listened_on_is_one_sentence(host):
    done = run(f"--host={host}", "--port=-1", "--rest_api_port=-1")
    assert done.returncode == 1 and f"error: --port=-1 on --host={host}: " in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        flag = f"--rest_api_port={taken.getsockname()[1]}"
        done = run(flag, "--port=-1")
    assert done.returncode == 1 and done.stderr.startswith(f"error: {flag} on --host=127.0.0.1: ")
