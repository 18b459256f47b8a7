"""Closed-loop clients in a process of their own.

Each client sends its next request when the answer to the last is there. Only to 127.0.0.1.
"""

import asyncio
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.processes import Orders
from benchmarks.serving import latencies

HOST = "127.0.0.1"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE = 20  # seconds for one answer
WARM_REQUESTS = 20  # of each client, that are not timed


class Order(NamedTuple):
    """What is to be asked, how often at most and for how long at most.

    With `until`, the clients stop when this file is there.
    """

    transport: str  # rest or grpc
    port: int
    model: str
    shape: list[int]  # of one observation
    batch: int
    clients: int
    seconds: float
    requests: int
    until: str = ""


class Rest:
    """A client over REST, on one connection that is kept."""

    def __init__(self, order: Order, observations: np.ndarray) -> None:
        body = json.dumps({"instances": observations.tolist()}).encode()
        head = (
            f"POST /v1/models/{order.model}:predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type:"
            f" application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._port = order.port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self) -> None:
        """Send one request and wait for its answer.

        Raises RuntimeError if it is not answered with predictions, OSError or EOFError if the
        connection is lost.
        """
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                HOST, self._port, limit=1 << 24
            )
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        if length is None:
            raise RuntimeError(f"no Content-Length in {head[:200].decode(errors='replace')}")
        body = await self._reader.readexactly(int(length[1]))
        if b" 200 " not in head[:16] or b'"predictions"' not in body:
            status = head.splitlines()[0].decode()
            raise RuntimeError(f"{status}: {body[:200].decode(errors='replace')}")

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class Grpc:
    """A client over gRPC, on a channel with a connection of its own."""

    def __init__(self, order: Order, observations: np.ndarray) -> None:
        import grpc.aio
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

        self._request = predict_pb2.PredictRequest()
        self._request.model_spec.name = order.model
        self._request.inputs["observation"].CopyFrom(tf.make_tensor_proto(observations))
        self._channel = grpc.aio.insecure_channel(
            f"{HOST}:{order.port}", options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict

    async def ask(self) -> None:
        """Send one request and wait for its answer.

        Raises grpc.RpcError, or RuntimeError if the answer holds no Q-values.
        """
        answer = await self._predict(self._request, timeout=PATIENCE)
        if "q_values" not in answer.outputs:
            raise RuntimeError("an answer without q_values")

    def close(self) -> None:
        """Do nothing: the channel connects again by itself."""


async def measure(order: Order) -> dict[str, Any]:
    """Measure the latencies of all clients together, and count errors by kind.

    The requests that warm up are not counted.
    """
    generator = np.random.default_rng(0)
    observations = generator.normal(0, 0.05, (order.batch, *order.shape)).astype(np.float32)
    clients: list[Rest | Grpc] = []
    for _ in range(order.clients):
        client_type = Rest if order.transport == "rest" else Grpc
        clients.append(client_type(order, observations))
    for client in clients:
        for _ in range(WARM_REQUESTS if not order.until else 1):
            await _attempt(client, [], Counter())
    seconds: list[float] = []
    errors: Counter[str] = Counter()
    start = time.perf_counter()
    loops = asyncio.gather(*(_loop(client, order, start, seconds, errors) for client in clients))
    try:
        await asyncio.wait_for(loops, order.seconds + PATIENCE)
    except asyncio.TimeoutError:
        errors[f"no answer for {PATIENCE} s"] += 1
    total = time.perf_counter() - start
    for client in clients:
        client.close()
    return latencies.summarize(seconds, errors, total)


async def _loop(
    client: Rest | Grpc, order: Order, start: float, seconds: list[float], errors: Counter[str]
) -> None:
    """Send requests until time, number or the file `until` ends it."""
    for number in range(order.requests // order.clients):
        if time.perf_counter() - start > order.seconds:
            return
        if order.until and number % 16 == 0 and Path(order.until).exists():
            return
        await _attempt(client, seconds, errors)


async def _attempt(client: Rest | Grpc, seconds: list[float], errors: Counter[str]) -> None:
    """Send one request, and add its latency to `seconds` or its error to `errors`."""
    sent = time.perf_counter()
    try:
        await client.ask()
        seconds.append(time.perf_counter() - sent)
    except Exception as error:  # whatever a client can meet is what is counted here
        lines = str(error).splitlines() or [""]
        errors[f"{type(error).__name__}: {lines[0][:120]}"] += 1
        client.close()
        await asyncio.sleep(0.01)


def main() -> None:
    """Carry out one order after the other."""
    Orders().carry_out(lambda order: asyncio.run(measure(Order(**order))))


if __name__ == "__main__":
    main()
