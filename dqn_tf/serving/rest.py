"""TensorFlow Serving's REST API on aiohttp's server, without a router: the path is read raw."""

import asyncio
import concurrent.futures
import dataclasses
import functools
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from aiohttp import web

from dqn_tf.serving import json_reader, json_tensors, json_writer, looks, paths
from dqn_tf.serving.errors import HTTP_STATUS, ServingError, invalid, translated
from dqn_tf.serving.manager import Held, Manager
from dqn_tf.serving.model import Signature
from dqn_tf.serving.options import Options

SMALL = 64 << 10  # bytes of a body that is read without a thread's help
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
CORS = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "POST, GET", "Access-Control-Allow-Headers": "Content-Type"}

Recorder = Callable[[str, int, str, Mapping[str, np.ndarray], Mapping[str, np.ndarray]], None]
Pages = Callable[[str], tuple[int, str, bytes] | None]

log = logging.getLogger("dqn_tf.serving")


class TooLarge(Exception):
    """A body beyond --max_request_bytes."""


@dataclasses.dataclass
class Rest:
    """Answers requests. `recorder`(model_name, version, signature_name, inputs, outputs) sees each successful predict call;
    `pages`(path) may answer a GET outside /v1/ with (status, content type, body)."""

    manager: Manager
    options: Options
    recorder: Recorder | None = None
    pages: Pages | None = None

    def __post_init__(self) -> None:
        self._threads = concurrent.futures.ThreadPoolExecutor(self.options.rest_api_num_threads, "rest")
        self._busy = 0
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError."""
        server = web.Server(self._handle, access_log=None, auto_decompress=False, keepalive_timeout=3600)
        self._runner = web.ServerRunner(server, handle_signals=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        return self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Takes no more connections, finishes what is being answered."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        path = request.raw_path
        if not paths.API.match(path):
            return self._outside(request.method, path)
        headers = CORS if self.options.rest_api_enable_cors_support else {}
        if request.method == "OPTIONS":
            allowed = request.headers.get("Origin", "").startswith(("http://", "https://"))
            return web.Response(status=200 if allowed else 400, headers=headers)
        status, body = await self._answer(request, path)
        response = web.Response(status=status, body=body, headers={"Content-Type": "application/json", **headers})
        if status == 413:
            response.force_close()
        return response

    def _outside(self, method: str, path: str) -> web.Response:
        page = self.pages(path) if self.pages is not None and method == "GET" else None
        status, kind, body = page or (404, "text/html", NOT_FOUND)
        return web.Response(status=status, body=body, headers={"Content-Type": kind})

    async def _answer(self, request: web.BaseRequest, path: str) -> tuple[int, bytes]:
        if self._busy >= self.options.max_concurrent_requests:
            return 429, json_writer.error(f"More than {self.options.max_concurrent_requests} requests at once; try again")
        self._busy += 1
        seconds = self.options.rest_api_timeout_in_ms / 1000
        try:
            return 200, await asyncio.wait_for(self._body(request, path, time.monotonic() + seconds), seconds)
        except TooLarge:
            return 413, json_writer.error(f"The body is larger than {self.options.max_request_bytes} bytes")
        except asyncio.TimeoutError:
            return 504, json_writer.error(f"Not answered within {self.options.rest_api_timeout_in_ms} ms")
        except Exception as error:
            if not isinstance(error, ServingError):
                log.exception("%s %s failed", request.method, path[:200])
            found = translated(error)
            return HTTP_STATUS[found.code], json_writer.error(found.message)
        finally:
            self._busy -= 1

    async def _body(self, request: web.BaseRequest, path: str, deadline: float) -> bytes:
        target = paths.parsed(request.method, path)
        if target.verb == "status":
            return looks.status(self.manager.status(target.name, target.version))
        if target.verb == "metadata":
            with self.manager.use(target.name, target.version, target.label) as loaded:
                return looks.metadata(loaded)
        body = await self._read(request)
        read = functools.partial(json_reader.read, body, self.options.max_json_depth)
        document = read() if len(body) <= SMALL else await self._aside(read)
        wanted = _signature_name(document)
        held = self.manager.hold(target.name, target.version, target.label)
        try:
            signature = _signature(held, wanted)
        except ServingError:
            held.release()
            raise
        work = functools.partial(self._predict, held, signature, document, deadline)
        return work() if len(body) <= SMALL and signature.quick else await self._aside(work)

    def _predict(self, held: Held, signature: Signature, document: dict[str, Any], deadline: float) -> bytes:
        """Runs the model, and gives it free."""
        try:
            inputs, rows = json_tensors.inputs(document, signature)
            outputs = held.loaded.run(signature, inputs, deadline=deadline)
            reply = json_writer.prediction(outputs, rows)
            if self.recorder is not None:
                self.recorder(held.loaded.name, held.loaded.version, signature.name, inputs, outputs)
            return reply
        finally:
            held.release()

    async def _aside(self, work: Callable[[], Any]) -> Any:
        """In a thread, which counts as busy until it is done, even if nobody waits any more."""
        self._busy += 1
        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.shield(asyncio.wrap_future(future))

    def _done(self) -> None:
        self._busy -= 1

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The whole body, unpacked if it is packed. Raises TooLarge, INVALID_ARGUMENT."""
        most = self.options.max_request_bytes
        if (request.content_length or 0) > most:
            raise TooLarge
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts, size = [], 0
        async for part in request.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > most:
                raise TooLarge
        body = b"".join(parts)
        return _unpacked(body, most) if request.headers.get("Content-Encoding", "").lower() == "gzip" else body


def _unpacked(body: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise invalid(f"The body is said to be gzip, but is not: {error}") from None
    if len(found) > most:
        raise TooLarge
    if not unpacker.eof:
        raise invalid("The gzip body is cut off")
    return found


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("JSON Value: not formatted correctly. 'signature_name' key must be a string value.")
    return name


def _signature(held: Held, name: str) -> Signature:
    try:
        return held.loaded.signature(name)
    except ServingError as error:
        raise invalid(error.message) from None
