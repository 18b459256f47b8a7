"""Servers, clients and the floor in processes of their own, and the rounds in which they are
measured. Nothing but 127.0.0.1 is asked.
"""

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.serving.client import Order
from dqn_tf.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
MODEL, FLOOR = "dqn", "in process"
PATIENCE = 150  # seconds for a process to start, or to answer beyond the time that it was given
SWAP = 20  # seconds that a new version may take
AT_WORK = 0.3  # seconds that a version has the clients for itself
LISTENS = {
    "rest": re.compile(r"REST on http://127\.0\.0\.1:(\d+)"),
    "grpc": re.compile(r"gRPC on 127\.0\.0\.1:(\d+)"),
}


class Cell(NamedTuple):
    """One measurement of a round: a server's, or, with the transport `in process`, the floor's."""

    transport: str
    batching: str  # on or off
    batch: int
    clients: int


class Bounds(NamedTuple):
    """Of one cell, whichever is reached first."""

    seconds: float
    requests: int


class Cores(NamedTuple):
    """Where processes may run; an empty set is anywhere."""

    servers: frozenset[int] = frozenset()  # and the floor
    clients: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return (
            f"server and floor on one core, clients on {len(self.clients)} other"
            if self.servers
            else "all on the same cores"
        )


def apart() -> Cores:
    """One core for servers and floor, the rest for clients, if there are two or more."""
    found = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return Cores(frozenset(found[:1]), frozenset(found[1:])) if len(found) > 1 else Cores()


class Child:
    """A Python program that answers each line with a line; ended with its `with`."""

    def __init__(self, words: Sequence[str], cpus: frozenset[int]) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8")
        with _pinned(cpus):  # inherited before the child makes its first thread
            self.process = subprocess.Popen(
                [sys.executable, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
        self._pending = b""

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        self._log.close()

    def line(self, seconds: float) -> str:
        """Its next line. Raises UserError if it ends, or says nothing for so long."""
        until = time.monotonic() + seconds
        while b"\n" not in self._pending:
            ready, _, _ = select.select(
                [self.process.stdout], [], [], max(0.0, until - time.monotonic())
            )
            received = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not received:
                self._log.seek(0)
                last = (self._log.read().strip().splitlines() or ["it said nothing"])[-1]
                raise UserError(
                    f"{' '.join(self.process.args[1:4])}"
                    f" {'ended' if ready else f'gave no answer for {seconds:.0f} s'}: {last}"
                )
            self._pending += received
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode()

    def send(self, order: dict[str, Any]) -> None:
        """Gives it an order."""
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """An order and its answer."""
        self.send(order)
        return json.loads(self.line(seconds + PATIENCE))


class Server(Child):
    """`python -m dqn_tf.serving` with free ports:

    `ports` by transport. REST is always there, for its status.
    """

    def __init__(
        self, base: Path, batching: str, transports: set[str], cpus: frozenset[int]
    ) -> None:
        words = [
            "-m",
            "dqn_tf.serving",
            f"--model_base_path={base}",
            f"--model_name={MODEL}",
            "--rest_api_port=-1",
            f"--port={-1 if 'grpc' in transports else 0}",
            "--file_system_poll_wait_seconds=0.2",
        ]
        super().__init__([*words, *(["--enable_batching"] if batching == "on" else [])], cpus)
        self.ports: dict[str, int] = {}
        while not self.ports.keys() >= transports | {"rest"}:
            text = self.line(PATIENCE)
            self.ports |= {
                transport: int(found[1])
                for transport, pattern in LISTENS.items()
                if (found := pattern.search(text))
            }

    def rss_mib(self) -> float:
        """Its memory now; NaN where /proc is not."""
        with contextlib.suppress(OSError, StopIteration):
            lines = (
                Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
            )
            return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
        return float("nan")

    def answers(self, version: int) -> bool:
        """Whether this version is AVAILABLE."""
        try:
            return (
                self._get(f"/versions/{version}")["model_version_status"][0]["state"] == "AVAILABLE"
            )
        except urllib.error.HTTPError:
            return False

    def shape(self) -> list[int]:
        """Of one observation."""
        signature = self._get("/metadata")["metadata"]["signature_def"]["signature_def"][
            "serving_default"
        ]
        return [
            int(one["size"])
            for one in signature["inputs"]["observation"]["tensor_shape"]["dim"][1:]
        ]

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ports['rest']}/v1/models/{MODEL}{path}", timeout=PATIENCE
        ) as reply:
            return json.load(reply)


def measure(
    cells: Sequence[Cell], version: Path, bounds: Bounds, rounds: int, cores: Cores
) -> Iterator[tuple[int, Cell, dict[str, Any]]]:
    """Each round every cell once; both servers run all the while, one of them busy at a time."""
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dqn_tf-serving-")))
        shutil.copytree(version, base / "1")
        floor = stack.enter_context(
            Child(["-m", "benchmarks.serving.floor", str(base / "1")], cores.servers)
        )
        floor.line(PATIENCE)  # it is ready
        served = [cell for cell in cells if cell.transport != FLOOR]
        servers = {
            batching: stack.enter_context(
                Server(base, batching, {cell.transport for cell in served}, cores.servers)
            )
            for batching in dict.fromkeys(cell.batching for cell in served)
        }
        client = stack.enter_context(Child(["-m", "benchmarks.serving.client"], cores.clients))
        for number in range(1, rounds + 1):
            for cell in cells:
                if cell.transport == FLOOR:
                    order = {
                        "batch": cell.batch,
                        "seconds": bounds.seconds,
                        "requests": bounds.requests,
                    }
                    yield number, cell, floor.ask(order, bounds.seconds)
                else:
                    server = servers[cell.batching]
                    order = Order(
                        cell.transport,
                        server.ports[cell.transport],
                        MODEL,
                        server.shape(),
                        cell.batch,
                        cell.clients,
                        bounds.seconds,
                        bounds.requests,
                    )
                    yield number, cell, client.ask(order._asdict(), bounds.seconds)


def reload(cell: Cell, version: Path, reloads: int, cores: Cores) -> dict[str, Any]:
    """Clients at work while so many new versions are renamed into place:

    their answer, the seconds until each version was AVAILABLE, and memory.
    """
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dqn_tf-serving-")))
        shutil.copytree(version, base / "1")
        server = stack.enter_context(Server(base, cell.batching, {cell.transport}, cores.servers))
        client = stack.enter_context(Child(["-m", "benchmarks.serving.client"], cores.clients))
        longest = reloads * (SWAP + AT_WORK)
        order = Order(
            cell.transport,
            server.ports[cell.transport],
            MODEL,
            server.shape(),
            cell.batch,
            cell.clients,
            longest,
            10**9,
            str(base / "stop"),
        )
        # so that the clients are at work from the first reload on
        client.ask(order._replace(seconds=0.5, until="")._asdict(), 0.5)
        client.send(order._asdict())
        waits, memory = [], []
        for number in range(2, reloads + 2):
            shutil.copytree(version, base / f".{number}")
            renamed = time.perf_counter()
            (base / f".{number}").rename(base / str(number))
            while not server.answers(number):
                if time.perf_counter() - renamed > SWAP:
                    raise UserError(
                        f"Version {number} did not answer within {SWAP} s of its rename."
                    )
                time.sleep(0.01)
            waits.append(time.perf_counter() - renamed)
            time.sleep(AT_WORK)
            memory.append(server.rss_mib())
            shutil.rmtree(base / str(number - 1))
        (base / "stop").touch()
        answer = json.loads(client.line(longest + PATIENCE))
    return answer | {"reloads": reloads, "swap_seconds": waits, "rss_mib": memory}


@contextlib.contextmanager
def _pinned(cpus: frozenset[int]) -> Iterator[None]:
    if not cpus:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
