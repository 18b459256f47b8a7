"""The rounds of the load test: a server, clients and the floor, each a process of its own.

Nothing but 127.0.0.1 is asked.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common.processes import Child
from benchmarks.serving.client import Order
from benchmarks.serving.server import MODEL, SECONDS_TO_START, Server
from dqn_tf.support.errors import UserError

FLOOR = "in process"
SECONDS_TO_ANSWER = 150  # beyond the time that a process was given
SECONDS_TO_SWAP = 20  # that a new version may take
SECONDS_AT_WORK = 0.3  # that a version has the clients for itself
MOST_REQUESTS = 10**9  # while versions change, the clients are ended by a file


class Cell(NamedTuple):
    """One measurement of a round: a server's, or, with the transport `in process`, the floor's."""

    transport: str
    batching: str  # on or off
    batch: int
    clients: int


class Bounds(NamedTuple):
    """The end of one cell: seconds or requests, whichever is reached first."""

    seconds: float
    requests: int


class Cores(NamedTuple):
    """Where processes may run; an empty set is anywhere."""

    servers: frozenset[int] = frozenset()  # and the floor
    clients: frozenset[int] = frozenset()

    def __str__(self) -> str:
        if not self.servers:
            return "all on the same cores"
        return f"server and floor on one core, clients on {len(self.clients)} other"


def separate_cores() -> Cores:
    """Give one core to servers and floor and the rest to clients, if there are two or more."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(available) < 2:
        return Cores()
    return Cores(frozenset(available[:1]), frozenset(available[1:]))


def measure(
    cells: Sequence[Cell], version: Path, bounds: Bounds, rounds: int, cores: Cores
) -> Iterator[tuple[int, Cell, dict[str, Any]]]:
    """Yield round, cell and answer: each round measures every cell once.

    Both servers run all the time, and one of them is busy at a time.
    """
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dqn_tf-serving-")))
        shutil.copytree(version, base / "1")
        floor = stack.enter_context(
            Child("benchmarks.serving.floor", str(base / "1"), cpus=cores.servers)
        )
        floor.receive(SECONDS_TO_START)  # it is ready
        served = [cell for cell in cells if cell.transport != FLOOR]
        transports = {cell.transport for cell in served}
        servers = {
            batching: stack.enter_context(Server(base, batching, transports, cores.servers))
            for batching in dict.fromkeys(cell.batching for cell in served)
        }
        clients = stack.enter_context(Child("benchmarks.serving.client", cpus=cores.clients))
        patience = bounds.seconds + SECONDS_TO_ANSWER
        for number in range(1, rounds + 1):
            for cell in cells:
                if cell.transport == FLOOR:
                    answer = floor.ask({"batch": cell.batch, **bounds._asdict()}, patience)
                else:
                    order = _order(cell, servers[cell.batching], bounds)
                    answer = clients.ask(order._asdict(), patience)
                yield number, cell, answer


def reload(cell: Cell, version: Path, reloads: int, cores: Cores) -> dict[str, Any]:
    """Rename `reloads` new versions into place while clients are at work.

    Returns the clients' answer, the seconds until each version was AVAILABLE, and the server's
    memory after each.
    """
    with contextlib.ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dqn_tf-serving-")))
        shutil.copytree(version, base / "1")
        server = stack.enter_context(Server(base, cell.batching, {cell.transport}, cores.servers))
        clients = stack.enter_context(Child("benchmarks.serving.client", cpus=cores.clients))
        longest = reloads * (SECONDS_TO_SWAP + SECONDS_AT_WORK)
        stop_file = base / "stop"
        order = _order(cell, server, Bounds(longest, MOST_REQUESTS))
        # so that the clients are at work from the first reload on
        clients.ask(order._replace(seconds=0.5)._asdict(), 0.5 + SECONDS_TO_ANSWER)
        clients.send(order._replace(until=str(stop_file))._asdict())
        swap_seconds = []
        rss_mib = []
        for number in range(2, reloads + 2):
            swap_seconds.append(_swap(server, base, version, number))
            time.sleep(SECONDS_AT_WORK)
            rss_mib.append(server.rss_mib())
            shutil.rmtree(base / str(number - 1))
        stop_file.touch()
        answer = clients.receive(longest + SECONDS_TO_ANSWER)
    return answer | {"reloads": reloads, "swap_seconds": swap_seconds, "rss_mib": rss_mib}


def _order(cell: Cell, server: Server, bounds: Bounds) -> Order:
    return Order(
        transport=cell.transport,
        port=server.ports[cell.transport],
        model=MODEL,
        shape=server.observation_shape(),
        batch=cell.batch,
        clients=cell.clients,
        seconds=bounds.seconds,
        requests=bounds.requests,
    )


def _swap(server: Server, base: Path, version: Path, number: int) -> float:
    """Add a copy of `version`; return the seconds from its rename until it is AVAILABLE."""
    copy = base / f".{number}"
    shutil.copytree(version, copy)
    renamed = time.perf_counter()
    copy.rename(base / str(number))
    while not server.is_available(number):
        if time.perf_counter() - renamed > SECONDS_TO_SWAP:
            raise UserError(
                f"Version {number} did not answer within {SECONDS_TO_SWAP} s of its rename."
            )
        time.sleep(0.01)
    return time.perf_counter() - renamed
