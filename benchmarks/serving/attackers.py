"""The attackers, in a process of their own: python -m benchmarks.serving.attackers REST GRPC N S.

They open N connections to 127.0.0.1 and keep them at work for S seconds. Some send slowly, some do
not read, some say nothing, and the others send bodies and messages made to hurt, one after the
other. At the end they print how often each was answered, and with what, as one JSON object.
"""

import asyncio
import collections
import contextlib
import gzip
import itertools
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import grpc.aio

from benchmarks.serving.attack_model import NAME

HOST = "127.0.0.1"
MB = 1 << 20
HEAD = f"POST /v1/models/{NAME}:predict HTTP/1.1\r\nHost: {HOST}\r\n"
PREDICT = "/tensorflow.serving.PredictionService/Predict"
# what share of the connections does what
SHARES = {
    "slow body": 0.3,
    "slow head": 0.1,
    "silent": 0.1,
    "unread reply": 0.1,
    "hostile body": 0.25,
    "hostile message": 0.1,
    "silent call": 0.05,
}
PAUSE = 0.2  # seconds between two hostile bodies of one connection

Answers = collections.Counter[str]


def hostile_bodies() -> list[tuple[str, bytes, bool]]:
    """Return what is sent over REST: a name, the body, and whether it is gzip."""
    deep = b"[" * 33 + b'"a"' + b"]" * 33
    row = b"[1,0,0,0]"

    def note(content: bytes) -> bytes:
        return b'{"note":' + content + b',"instances":[[1,0,0,0]]}'

    def of(signature: str, content: bytes) -> bytes:
        return b'{"signature_name":"%s","inputs":%s}' % (signature.encode(), content)

    plain = {
        "text beside numbers": json.dumps({"instances": ["x" * 24_000, *[1] * 19_000]}).encode(),
        "nested string": of("texts", deep),
        "long note": note(b'"\\ud83d\\ude00' + b"x" * 24_000_000 + b'"'),
        "note of lists": note(b"[" + b"[]," * 500_000 + b"[]]"),
        "deep note": note(b"[" * 100_000 + b"]" * 100_000),
        "million rows": b'{"instances":[' + b",".join([row] * 1_000_000) + b"]}",
        "ten million bytes": of("numbers", b"[" + b"0.125," * 1_600_000 + b"1]"),
        "NaN": of("numbers", b"[" + b"NaN," * 20_000 + b"1]"),
        "many strings": of("texts", b"[" + b'"",' * 100_000 + b'""]'),
        "slow after fast": of("slow", b"[12]"),
        "cut": note(b'"' + b"x" * 1_000_000),
    }
    bomb = gzip.compress(note(b'"' + b"x" * (200 * MB) + b'"'), 1)
    return [(name, body, False) for name, body in plain.items()] + [("gzip bomb", bomb, True)]


def hostile_messages() -> list[tuple[str, bytes]]:
    """Return what is sent over gRPC."""
    # imported here: only this needs TensorFlow's messages
    from tensorflow_serving.apis import predict_pb2

    messages = []
    for name, dtype, shape in (
        ("claimed rows", 1, (2_000_000, 4)),
        ("claimed zeros", 1, (0, 1 << 62)),
        ("claimed rank", 1, (1,) * 33),
        ("claimed strings", 7, (1_000_000,)),
    ):
        request = predict_pb2.PredictRequest()
        request.model_spec.name = NAME
        request.model_spec.signature_name = "texts" if dtype == 7 else "numbers"
        tensor = request.inputs["x"]
        tensor.dtype = dtype
        for size in shape:
            tensor.tensor_shape.dim.add().size = size
        if dtype == 7:
            tensor.string_val.append(b"a")
        else:
            tensor.float_val.append(1.0)
        messages.append((name, request.SerializeToString()))
    messages.append(("empty fields", b"\x12\x00" * 1_000_000))
    return messages


class Attack:
    """All attackers; `end` is a time.monotonic()."""

    def __init__(self, rest: int, rpc: int, end: float) -> None:
        self.answers: Answers = collections.Counter()
        self._rest = rest
        self._rpc = rpc
        self._end = end
        self._bodies = itertools.cycle(hostile_bodies())
        self._messages = itertools.cycle(hostile_messages())
        self._random = random.Random(0)

    async def run(self, connections: int) -> Answers:
        """Attack with so many connections."""
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "slow body": self._slow_body,
            "slow head": self._slow_head,
            "silent": self._silent,
            "unread reply": self._unread_reply,
            "hostile body": self._hostile_body,
            "hostile message": self._hostile_message,
            "silent call": self._silent_call,
        }
        tasks = [
            asyncio.create_task(self._again(name, kinds[name]))
            for name, share in SHARES.items()
            for _ in range(round(share * connections))
        ]
        tasks.append(asyncio.create_task(self._again("gRPC bomb", self._bomb)))
        await asyncio.wait(tasks, timeout=max(0.0, self._end - time.monotonic()) + 5)
        return self.answers

    async def _again(self, name: str, attack: Callable[[], Awaitable[None]]) -> None:
        """Attack again and again; a connection that is closed is opened anew."""
        await asyncio.sleep(self._random.random())
        while time.monotonic() < self._end:
            with contextlib.suppress(OSError, EOFError, asyncio.TimeoutError):
                await attack()
            self.answers[name] += 1
            await asyncio.sleep(PAUSE)

    @contextlib.asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(HOST, self._rest)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _drip(self, first: bytes, drop: bytes) -> None:
        """Send `drop` once a second until the server closes the connection."""
        async with self._connection() as (reader, writer):
            writer.write(first)
            reply = asyncio.create_task(reader.read(4096))
            while time.monotonic() < self._end and not reply.done():
                writer.write(drop)
                await asyncio.wait([reply], timeout=1.0)
            reply.cancel()

    async def _slow_body(self) -> None:
        await self._drip(f"{HEAD}Content-Length: 1000\r\n\r\n{{".encode(), b" ")

    async def _slow_head(self) -> None:
        await self._drip(HEAD.encode(), b"X")

    async def _silent(self) -> None:
        await self._drip(b"", b"")

    async def _unread_reply(self) -> None:
        values = b"0.125," * 300_000
        body = b'{"signature_name":"numbers","inputs":[' + values + b"1]}"
        async with self._connection() as (_, writer):
            writer.write(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            while time.monotonic() < self._end and not writer.is_closing():
                await asyncio.sleep(1.0)

    async def _hostile_body(self) -> None:
        name, body, is_gzip = next(self._bodies)
        packed = "Content-Encoding: gzip\r\n" if is_gzip else ""
        async with self._connection() as (reader, writer):
            writer.write(f"{HEAD}{packed}Content-Length: {len(body)}\r\n\r\n".encode())
            writer.write(body)
            status = await asyncio.wait_for(reader.readline(), 60)
            self.answers[f"{name}: {status[9:12].decode() or 'closed'}"] += 1

    async def _hostile_message(self) -> None:
        name, message = next(self._messages)
        await self._call(name, message)

    async def _bomb(self) -> None:
        await self._call("gRPC bomb", bytes(300 * MB), compression=grpc.Compression.Gzip)
        await asyncio.sleep(10)

    async def _call(self, name: str, message: bytes, **options: object) -> None:
        unlimited = [("grpc.max_send_message_length", -1)]
        async with grpc.aio.insecure_channel(f"{HOST}:{self._rpc}", options=unlimited) as channel:
            try:
                await channel.unary_unary(PREDICT)(message, timeout=60, **options)
                code = "OK"
            except grpc.aio.AioRpcError as error:
                code = error.code().name
            self.answers[f"{name}: {code}"] += 1

    async def _silent_call(self) -> None:
        """Begin a call, and never send its message."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"{HOST}:{self._rpc}", options=options) as channel:
            call = channel.stream_unary(PREDICT)()
            await asyncio.sleep(max(0.0, min(20.0, self._end - time.monotonic())))
            call.cancel()


def main(words: list[str]) -> None:
    """Attack, and print the answers."""
    rest, rpc, connections, seconds = map(int, words)
    attack = Attack(rest, rpc, time.monotonic() + seconds)
    print(json.dumps(asyncio.run(attack.run(connections))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
