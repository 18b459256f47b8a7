"""Closed-loop clients in a process of their own: each sends its next request when the answer to the
last is there.

Orders come in on stdin, one JSON object a line, and what was measured goes out on stdout in the
same way. Only to 127.0.0.1.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HOST = "127.0.0.1"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PATIENCE = 20  # seconds for one answer
WARM = 20  # requests of each client that are not timed


class Order(NamedTuple):
    """What is to be asked, how often at most, and for how long at most; or until the file `until`
    is there.
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
    """One connection that is kept."""

    def __init__(self, order: Order, observations: np.ndarray) -> None:
        body = json.dumps({"instances": observations.tolist()}).encode()
        head = (
            f"POST /v1/models/{order.model}:predict HTTP/1.1\r\nHost: {HOST}\r\nContent-Type:"
            f" application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._request, self._port, self._writer = head.encode() + body, order.port, None

    async def ask(self) -> None:
        """One request.

        Raises RuntimeError if it is not answered with predictions, OSError or EOFError if the
        connection is lost.
        """
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                HOST, self._port, limit=1 << 24
            )
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._reader.readexactly(int(LENGTH.search(head)[1]))
        if b" 200 " not in head[:16] or b'"predictions"' not in body:
            raise RuntimeError(
                f"{head.splitlines()[0].decode()}: {body[:200].decode(errors='replace')}"
            )

    def close(self) -> None:
        """The next request opens a new connection."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None


class Grpc:
    """One channel with a connection of its own."""

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
        """One request. Raises grpc.RpcError, or RuntimeError if the answer holds no Q-values."""
        answer = await self._predict(self._request, timeout=PATIENCE)
        if "q_values" not in answer.outputs:
            raise RuntimeError("an answer without q_values")

    def close(self) -> None:
        """The channel connects again by itself."""


async def measure(order: Order) -> dict[str, Any]:
    """Latencies of all clients together, in milliseconds, and what went wrong, by kind.

    Warming is not counted.
    """
    generator = np.random.default_rng(0)
    observations = generator.normal(0, 0.05, (order.batch, *order.shape)).astype(np.float32)
    clients = [
        {"rest": Rest, "grpc": Grpc}[order.transport](order, observations)
        for _ in range(order.clients)
    ]
    for client in clients:
        for _ in range(WARM if not order.until else 1):
            await _attempt(client, [], Counter())
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    began = time.perf_counter()
    try:
        loops = asyncio.gather(
            *(_loop(client, order, began, latencies, errors) for client in clients)
        )
        await asyncio.wait_for(loops, order.seconds + PATIENCE)
    except asyncio.TimeoutError:
        errors[f"no answer for {PATIENCE} s"] += 1
    seconds = time.perf_counter() - began
    for client in clients:
        client.close()
    middle, late = (
        np.percentile(latencies, [50, 99]) * 1000 if latencies else (float("nan"), float("nan"))
    )
    return {
        "requests": len(latencies),
        "errors": sum(errors.values()),
        "error_kinds": dict(errors),
        "seconds": seconds,
        "requests_per_second": len(latencies) / seconds,
        "p50_ms": float(middle),
        "p99_ms": float(late),
    }


async def _loop(
    client: Rest | Grpc, order: Order, began: float, latencies: list[float], errors: Counter[str]
) -> None:
    share = order.requests // order.clients
    for number in range(share):
        if time.perf_counter() - began > order.seconds or (
            order.until and number % 16 == 0 and Path(order.until).exists()
        ):
            return
        await _attempt(client, latencies, errors)


async def _attempt(client: Rest | Grpc, latencies: list[float], errors: Counter[str]) -> None:
    sent = time.perf_counter()
    try:
        await client.ask()
        latencies.append(time.perf_counter() - sent)
    except Exception as error:  # whatever a client can meet is what is counted here
        errors[f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"] += 1
        client.close()
        await asyncio.sleep(0.01)


def main() -> None:
    """Does one order after the other."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints stays out of the replies
    for line in sys.stdin:
        print(json.dumps(asyncio.run(measure(Order(**json.loads(line))))), file=replies, flush=True)


if __name__ == "__main__":
    main()
