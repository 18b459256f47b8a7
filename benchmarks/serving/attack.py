"""Serves a client while others attack: python -m benchmarks.serving.attack.

It starts the embedded server, a client that sends some requests a second, and some hundred
connections that send slowly, do not read, say nothing, or send what is made to hurt. It prints what
the client and the server noticed of it, and ends with status 1 if that is more than promised.
"""

import asyncio
import http.client
import json
import os
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from absl import flags

from benchmarks.common import machine
from benchmarks.common.processes import Child
from benchmarks.serving.latencies import summarize
from benchmarks.serving.server import MODEL, Server
from dqn_tf.support import command_line

HOST = "127.0.0.1"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
BODY = json.dumps({"instances": [[0.0, 0.1, 0.0, -0.1]]}).encode()
PATIENCE = 30  # seconds for one answer
NEW_CONNECTION = 20  # requests after which the client opens a new connection
WARM = 100  # requests before the attack
SETTLE_SECONDS = 5.0  # between the end of the attack and the count of descriptors
HELP = (
    "Starts the embedded server, attacks it from many connections of this machine, and asks it"
    " meanwhile as a client would. Prints failures and latencies of that client, the server's"
    " memory and descriptors, and how long it takes to end; the exit status is 1 if one of them is"
    " beyond its bound."
)


class AttackFlags(NamedTuple):
    """How long and how hard the attack is."""

    seconds: int
    connections: int
    rate: float
    json: str


class Bounds(NamedTuple):
    """What the attack may cost at most."""

    failures: int = 0
    p99_ms: float = 250.0
    grown_mib: float = 300.0
    descriptors: int = 8
    seconds_to_end: float = 35.0


def parse(argv: Sequence[str]) -> AttackFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    return AttackFlags(values.seconds, values.connections, values.rate, values.json)


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    flags.DEFINE_integer(
        "seconds",
        60,
        "how long the attack lasts",
        lower_bound=1,
        upper_bound=600,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "connections",
        300,
        "connections of the attackers",
        lower_bound=10,
        upper_bound=2000,
        flag_values=values,
    )
    flags.DEFINE_float(
        "rate",
        20.0,
        "requests of the client in a second",
        lower_bound=1,
        upper_bound=200,
        flag_values=values,
    )
    command_line.define_path("json", None, "file to which the figures are written", values)


def _help_page(command: str, values: flags.FlagValues) -> str:
    return command_line.help_page([command], HELP, {"": command_line.entries(values)})


class Client(threading.Thread):
    """Sends predict requests at a steady rate, whether the last was slow or not."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(daemon=True)
        self.latencies: list[float] = []
        self.errors: Counter[str] = Counter()
        self._port = port
        self._rate = rate
        self._end = threading.Event()

    def run(self) -> None:
        """Send requests until `stop`."""
        asyncio.run(self._run())

    def stop(self) -> None:
        """Send no more, and wait for the answers."""
        self._end.set()
        self.join()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = set()
        idle: list[http.client.HTTPConnection] = []
        number = 0
        while not self._end.is_set():
            if number % NEW_CONNECTION == 0 and idle:
                idle.pop().close()
            due = time.perf_counter()
            task = asyncio.create_task(asyncio.to_thread(self.ask, idle, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, self._start(loop.time()) - loop.time()))
        await asyncio.gather(*tasks)

    def _start(self, now: float) -> float:
        """Return when the next request is due."""
        return (int(now * self._rate) + 1) / self._rate

    def ask(self, idle: list[http.client.HTTPConnection], due: float) -> None:
        """Send one request that was due at that time.perf_counter()."""
        try:
            connection = idle.pop()
        except IndexError:
            connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)
        try:
            connection.request("POST", f"/v1/models/{MODEL}:predict", BODY)
            reply = connection.getresponse()
            text = reply.read()
            if reply.status != 200 or b"predictions" not in text:
                raise RuntimeError(f"{reply.status}: {text[:200].decode(errors='replace')}")
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            connection.close()
            self.errors[f"{type(error).__name__}: {error}"] += 1
            return
        self.latencies.append(time.perf_counter() - due)
        idle.append(connection)


class Memory(threading.Thread):
    """Looks at the memory of a process ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_mib = 0.0
        self._pid = pid
        self._end = threading.Event()

    def run(self) -> None:
        """Look until `stop`."""
        while not self._end.wait(0.1):
            self.peak_mib = max(self.peak_mib, machine.status_mib(self._pid, "VmRSS") or 0.0)

    def stop(self) -> float:
        """Return the most memory that was seen, in MiB."""
        self._end.set()
        self.join()
        return self.peak_mib


def main(chosen: AttackFlags) -> int:
    """Attack and report. Raises UserError."""
    with tempfile.TemporaryDirectory(prefix="dqn_tf-attack-") as directory:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from benchmarks.serving import attack_model

        attack_model.save(Path(directory))
        figures = attack(Path(directory), chosen)
    failed = _report(figures, Bounds())
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


def attack(base: Path, chosen: AttackFlags) -> dict[str, Any]:
    """Return the figures of one attack on a server of the model below `base`."""
    with Server(base, "off", {"rest", "grpc"}, frozenset()) as server:
        pid = server.process.pid
        _ask_alone(server.ports["rest"], WARM)
        descriptors = _descriptors(pid)
        before = server.rss_mib()
        memory = Memory(pid)
        client = Client(server.ports["rest"], chosen.rate)
        words = (server.ports["rest"], server.ports["grpc"], chosen.connections, chosen.seconds)
        with Child("benchmarks.serving.attackers", *map(str, words)) as attackers:
            memory.start()
            client.start()
            started = time.perf_counter()
            answers = attackers.receive(chosen.seconds + 120)
            client.stop()
            seconds = time.perf_counter() - started
            peak = memory.stop()
            time.sleep(SETTLE_SECONDS)
            held = _descriptors(pid)
        stubborn = _stubborn_connections(server.ports["rest"])
        channel, call = _call_without_deadline(server.ports["grpc"])
        time.sleep(1.0)
        started = time.perf_counter()
        server.process.terminate()
        status = server.process.wait(180)
        seconds_to_end = time.perf_counter() - started
        for connection in stubborn:
            connection.close()
        call.cancel()
        channel.close()
    return {
        **summarize(client.latencies, client.errors, seconds),
        "max_ms": max(client.latencies, default=float("nan")) * 1000,
        "rss_before_mib": before,
        "rss_peak_mib": peak,
        "descriptors_before": descriptors,
        "descriptors_after": held,
        "seconds_to_end": seconds_to_end,
        "exit_status": status,
        "attackers": answers,
        "connections": chosen.connections,
        "machine": machine.describe(),
    }


def _report(figures: dict[str, Any], bounds: Bounds) -> list[str]:
    """Print the figures; return the names of those that are beyond their bounds."""
    for name, count in sorted(figures["attackers"].items()):
        print(f"  {count:6} {name}")
    for kind, count in figures["error_kinds"].items():
        print(f"  {count:6} failed: {kind}")
    grown = figures["rss_peak_mib"] - figures["rss_before_mib"]
    more_descriptors = figures["descriptors_after"] - figures["descriptors_before"]
    checks = {
        "failed requests of the client": (figures["errors"], bounds.failures, "d"),
        "p99 of the client in ms": (figures["p99_ms"], bounds.p99_ms, ".1f"),
        "growth of memory in MiB": (grown, bounds.grown_mib, ".0f"),
        "descriptors more than before": (more_descriptors, bounds.descriptors, "d"),
        "seconds from SIGTERM to the end": (
            figures["seconds_to_end"],
            bounds.seconds_to_end,
            ".1f",
        ),
        "exit status": (figures["exit_status"], 0, "d"),
    }
    print(f"{figures['requests']} requests, p50 {figures['p50_ms']:.1f} ms")
    failed = [name for name, (value, bound, _) in checks.items() if not value <= bound]
    for name, (value, bound, form) in checks.items():
        mark = "TOO MUCH" if name in failed else "ok"
        print(f"{name:34} {value:>10{form}}  at most {bound:<6} {mark}")
    return failed


def _ask_alone(port: int, count: int) -> None:
    """Ask some times before the attack, so that the server is warm."""
    client = Client(port, 1.0)
    idle: list[http.client.HTTPConnection] = []
    for _ in range(count):
        client.ask(idle, time.perf_counter())
    for connection in idle:
        connection.close()


def _stubborn_connections(port: int) -> list[socket.socket]:
    """Open connections that do not let go: some send half a body, some do not read."""
    head = f"POST /v1/models/{MODEL}:predict HTTP/1.1\r\nHost: {HOST}\r\n".encode()
    long_body = b'{"signature_name":"numbers","inputs":[' + b"0.125," * 1_000_000 + b"1]}"
    connections = []
    for number in range(20):
        connection = socket.create_connection((HOST, port), PATIENCE)
        body = long_body if number % 10 == 0 else b"{"
        size = len(long_body) if number % 10 == 0 else 100
        connection.sendall(head + f"Content-Length: {size}\r\n\r\n".encode() + body)
        connections.append(connection)
    return connections


def _call_without_deadline(port: int) -> tuple[grpc.Channel, grpc.Future]:
    """Call a signature that takes longer than the server may."""
    from tensorflow_serving.apis import predict_pb2  # after TensorFlow's log level is set

    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    request.model_spec.signature_name = "slow"
    tensor = request.inputs["seconds"]
    tensor.dtype = 1
    tensor.tensor_shape.dim.add().size = 1
    tensor.float_val.append(600.0)
    channel = grpc.insecure_channel(f"{HOST}:{port}")
    return channel, channel.unary_unary(PREDICT).future(request.SerializeToString())


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    command_line.run(main, parse)
