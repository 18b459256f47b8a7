"""The server as a process, or another one at an address, for the black-box tests."""

import contextlib
import functools
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

import command_server

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90  # seconds until a server answers
NAME = "zoo"
# what names a real TensorFlow Serving: an address HOST:REST_PORT:GRPC_PORT, a program, or an image
URL = os.environ.get("TF_SERVING_URL")
BINARY = os.environ.get("TF_SERVING_BINARY")
IMAGE = os.environ.get("TF_SERVING_IMAGE")
SERVERS = ["embedded", *["real"] * bool(URL or BINARY or IMAGE)]


class Address:
    """Where a server listens, and how it is asked."""

    def __init__(self, host: str, rest: int | None, rpc: int | None) -> None:
        self.host, self.rest, self.rpc = host, rest, rpc
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | dict | None = None,
        headers: dict | None = None,
    ) -> tuple[int, dict, bytes]:
        """Status, headers and body of one request. The path is sent as it is."""
        if isinstance(body, dict):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        for attempt in (1, 2):  # a connection that was kept may have been closed meanwhile
            connection = self._connection or http.client.HTTPConnection(
                self.host, self.rest, timeout=60
            )
            try:
                has_host = "Host" in (headers or {})
                connection.putrequest(method, path, skip_host=has_host, skip_accept_encoding=True)
                for name, value in {
                    "Content-Length": str(len(data or b"")),
                    **(headers or {}),
                }.items():
                    connection.putheader(name, value)
                connection.endheaders(data)
                reply = connection.getresponse()
                self._connection = connection
                return (
                    reply.status,
                    {name.lower(): value for name, value in reply.getheaders()},
                    reply.read(),
                )
            except (http.client.HTTPException, ConnectionError):
                connection.close()
                self._connection = None
                if attempt == 2:
                    raise
        raise AssertionError

    def predict(self, body, which: str = f"/v1/models/{NAME}") -> tuple[int, dict]:
        """Status and JSON of a predict request; NaN and Infinity become Python's."""
        status, headers, answer = self.ask("POST", f"{which}:predict", body)
        assert headers["content-type"].startswith("application/json")
        return status, json.loads(answer)

    def states(self, name: str = NAME) -> dict[int, str]:
        """Version → state."""
        status, _, answer = self.ask("GET", f"/v1/models/{name}")
        return (
            {
                int(each["version"]): each["state"]
                for each in json.loads(answer)["model_version_status"]
            }
            if status == 200
            else {}
        )

    def wait_for(self, version: int, state: str, name: str = NAME) -> None:
        """Until the version is in that state."""
        wait(lambda: self.states(name).get(version) == state, f"version {version} {state}")

    @functools.cached_property
    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(
            f"{self.host}:{self.rpc}",
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
        )

    @functools.cached_property
    def prediction(self) -> prediction_service_pb2_grpc.PredictionServiceStub:
        return prediction_service_pb2_grpc.PredictionServiceStub(self.channel)

    @functools.cached_property
    def model(self) -> model_service_pb2_grpc.ModelServiceStub:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)


class Embedded(Address):
    """`python -m dqn_tf.serving` on free ports.

    `constants` are set before it starts: a name, such as "server.DRAIN_SECONDS", and its value.
    """

    def __init__(
        self,
        directory: Path,
        *flags: str,
        ready: bool = True,
        max_descriptors: int | None = None,
        constants: dict[str, float] | None = None,
    ) -> None:
        self._forgotten = 0
        environ = {}
        if constants or max_descriptors:
            environ["SERVER_SETTINGS"] = json.dumps([constants or {}, max_descriptors])
        self.process = command_server.start(
            ["--port=-1", "--rest_api_port=-1", *flags],
            directory,
            "limited_server" if environ else "dqn_tf.serving",
            **environ,
        )
        super().__init__("127.0.0.1", None, None)
        if ready:
            self.listens()

    @property
    def text(self) -> str:
        """All that it has written so far, or since `forget_text`."""
        return self.process.output.read_text(encoding="utf-8", errors="replace")[self._forgotten :]

    def forget_text(self) -> None:
        """Forgets what it has written so far."""
        self._forgotten = len(self.text) + self._forgotten

    def listens(self) -> None:
        """Waits for both ports."""
        wait(
            lambda: "REST on" in self.text or self.process.poll() is not None,
            "REST on",
            lambda: self.text,
        )
        assert self.process.poll() is None, self.text
        self.rpc, self.rest = (
            int(re.search(pattern, self.text)[1])
            for pattern in (r"gRPC on .*:(\d+)", r"REST on http://.*:(\d+)/")
        )

    def ended(self) -> int:
        """Its exit status, waited for."""
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        self.process.kill(signal.SIGTERM)
        return self.ended()

    def memory(self, key: str = "VmRSS") -> int:
        """Resident bytes; with `VmHWM`, the most since the last `forget_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.search(rf"{key}:\s+(\d+)", status)[1]) * 1024

    def forget_peak(self) -> None:
        """Begins anew to look for the most memory."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5", encoding="utf-8")

    def descriptors(self) -> int:
        """How many files and sockets are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Watch(threading.Thread):
    """Asks a server for its status fifty times a second, and remembers the longest answer."""

    def __init__(self, server: Embedded) -> None:
        super().__init__(daemon=True)
        self.slowest = 0.0  # seconds
        self.failures: list[object] = []
        self.grown = 0  # bytes, at most
        self._server = server
        self._address = Address(server.host, server.rest, server.rpc)
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.02):
            started = time.monotonic()
            try:
                status, _, _ = self._address.ask("GET", f"/v1/models/{NAME}")
            except OSError as error:
                status = error
            if status != 200:
                self.failures.append(status)
            self.slowest = max(self.slowest, time.monotonic() - started)

    def __enter__(self) -> "Watch":
        self._server.forget_peak()
        self._before = self._server.memory()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()
        self.grown = self._server.memory("VmHWM") - self._before


@contextlib.contextmanager
def embedded(directory: Path, *flags: str, **options) -> Iterator[Embedded]:
    """A server that is gone afterwards, and alive until then."""
    server = Embedded(directory, *flags, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill(signal.SIGKILL)
            server.process.wait()


@contextlib.contextmanager
def real(directory: Path) -> Iterator[Address]:
    """TensorFlow Serving on the models in `directory`/zoo, as the environment names it."""
    if URL:  # has the zoo mounted
        host, rest, rpc = URL.split(":")
        yield Address(host, int(rest), int(rpc))
        return
    ports = free_ports(2)
    if BINARY:
        command = [
            BINARY,
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
            f"--model_name={NAME}",
            f"--model_base_path={directory / NAME}",
        ]
    else:
        assert IMAGE
        command = [
            "docker",
            "run",
            "--rm",
            "-p",
            f"{ports[0]}:8500",
            "-p",
            f"{ports[1]}:8501",
            "-v",
            f"{directory / NAME}:/models/{NAME}",
            "-e",
            f"MODEL_NAME={NAME}",
            IMAGE,
        ]
    process = subprocess.Popen(command)
    try:
        address = Address("127.0.0.1", ports[1], ports[0])
        wait(lambda: _available(address), "TensorFlow Serving")
        yield address
    finally:
        process.terminate()
        process.wait()


def _available(address: Address) -> bool:
    try:
        return "AVAILABLE" in address.states().values()
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait(condition, what: str, more=lambda: "") -> None:
    """Until the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE} s\n{more()}"
        time.sleep(0.05)
