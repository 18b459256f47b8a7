"""TensorFlow Serving's REST API on aiohttp's server, without a router: the path is read raw."""

import asyncio
import concurrent.futures
import dataclasses
import functools
import logging
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from aiohttp import web
from tensorflow_serving.apis import input_pb2

from dqn_tf.serving.errors import HTTP_STATUS, ServingError, invalid, translated
from dqn_tf.serving.http import json_examples, json_reader, json_tensors, json_writer, routes
from dqn_tf.serving.models import classify_regress
from dqn_tf.serving.models import status as looks
from dqn_tf.serving.models.loaded_model import Signature
from dqn_tf.serving.models.manager import Held
from dqn_tf.serving.models.runner import Engine
from dqn_tf.serving.options import Options

SMALL = 64 << 10  # bytes of a body that is read without a thread's help
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}

Pages = Callable[[str], tuple[int, str, bytes] | None]

log = logging.getLogger("dqn_tf.serving")


class TooLarge(Exception):
    """A body beyond --max_request_bytes."""


@dataclasses.dataclass
class Seen:
    """What is counted of a request, as far as it was understood."""

    name: str = ""
    verb: str = "Unknown"
    code: str = "OK"


class Rest:
    """Answers requests.

    `pages`(path) may answer a GET outside /v1/ with (status, content type, body).
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        metrics_path: str | None = None,
        pages: Pages | None = None,
    ) -> None:
        self.engine, self.options, self.metrics_path, self.pages = (
            engine,
            options,
            metrics_path,
            pages,
        )
        self._threads = concurrent.futures.ThreadPoolExecutor(options.rest_api_num_threads, "rest")
        self._busy = 0
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port. Raises OSError."""
        server = web.Server(
            self._handle, access_log=None, auto_decompress=False, keepalive_timeout=3600
        )
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
        if not routes.API.match(path):
            return self._outside(request.method, path)
        headers = CORS if self.options.rest_api_enable_cors_support else {}
        if request.method == "OPTIONS":
            allowed = request.headers.get("Origin", "").startswith(("http://", "https://"))
            return web.Response(status=200 if allowed else 400, headers=headers)
        started = time.perf_counter()
        seen = Seen()
        status, body = await self._answer(request, path, seen)
        # a name that nobody serves is not worth a counter of its own
        name = seen.name if seen.name in self.engine.manager.models else ""
        self.engine.metrics.request(
            name, seen.verb, "REST", seen.code, time.perf_counter() - started
        )
        response = web.Response(
            status=status, body=body, headers={"Content-Type": "application/json", **headers}
        )
        if status == 413:
            response.force_close()
        return response

    def _outside(self, method: str, path: str) -> web.Response:
        if path == self.metrics_path and method == "GET":
            return web.Response(
                body=self.engine.metrics.text(), headers={"Content-Type": "text/plain"}
            )
        page = self.pages(path) if self.pages is not None and method == "GET" else None
        status, kind, body = page or (404, "text/html", NOT_FOUND)
        return web.Response(status=status, body=body, headers={"Content-Type": kind})

    async def _answer(self, request: web.BaseRequest, path: str, seen: Seen) -> tuple[int, bytes]:
        """Status and body; errors become an object with the one key `error`."""
        most, seconds = (
            self.options.max_concurrent_requests,
            self.options.rest_api_timeout_in_ms / 1000,
        )
        self._busy += 1
        try:
            if self._busy > most:
                raise ServingError(
                    "RESOURCE_EXHAUSTED", f"More than {most} requests at once; try again"
                )
            return 200, await asyncio.wait_for(
                self._body(request, path, seen, time.monotonic() + seconds), seconds
            )
        except TooLarge:
            seen.code = "RESOURCE_EXHAUSTED"
            return 413, json_writer.error(
                f"The body is larger than {self.options.max_request_bytes} bytes"
            )
        except asyncio.TimeoutError:
            found = ServingError(
                "DEADLINE_EXCEEDED", f"Not answered within {self.options.rest_api_timeout_in_ms} ms"
            )
        except Exception as error:
            found = translated(error)
            if found.code == "INTERNAL":
                log.error("%s %s failed", request.method, path[:200], exc_info=error)
        finally:
            self._busy -= 1
        seen.code = found.code
        return HTTP_STATUS[found.code], json_writer.error(found.message)

    async def _body(
        self, request: web.BaseRequest, path: str, seen: Seen, deadline: float
    ) -> bytes:
        target = routes.parsed(request.method, path)
        seen.name, seen.verb = target.name, target.verb.capitalize()
        manager = self.engine.manager
        if target.verb == "status":
            return looks.status(manager.status(target.name, target.version))
        if target.verb == "metadata":
            with manager.hold(target.name, target.version, target.label) as held:
                return looks.metadata(held.loaded)
        body = await self._read(request)
        small = len(body) <= SMALL
        read = functools.partial(json_reader.read, body, self.options.max_json_depth)
        document = read() if small else await self._aside(read)
        wanted = _signature_name(document)
        given = json_examples.given(document) if target.verb != "predict" else None
        with manager.hold(target.name, target.version, target.label) as held:
            signature = _signature(held, wanted)
            if given is not None:
                return await self._aside(
                    functools.partial(
                        self._infer, held.again(), target.verb, signature, given, deadline
                    )
                )
            if held.loaded.batcher is not None:
                return await self._predict_in_batch(held, signature, document, deadline)
            work = functools.partial(self._predict, held.again(), signature, document, deadline)
            return work() if small and signature.quick else await self._aside(work)

    def _predict(
        self, held: Held, signature: Signature, document: dict[str, Any], deadline: float
    ) -> bytes:
        with held:
            inputs, rows = json_tensors.inputs(document, signature)
            outputs = self.engine.run(held, signature, inputs, deadline=deadline)
            reply = json_writer.prediction(outputs, rows)
            self.engine.record(held, signature, inputs, outputs)
            return reply

    async def _predict_in_batch(
        self, held: Held, signature: Signature, document: dict[str, Any], deadline: float
    ) -> bytes:
        inputs, rows = json_tensors.inputs(document, signature)
        outputs = await _waited(self.engine.start(held, signature, inputs, None, deadline))
        reply = json_writer.prediction(outputs, rows)
        self.engine.record(held, signature, inputs, outputs)
        return reply

    def _infer(
        self, held: Held, verb: str, signature: Signature, given: input_pb2.Input, deadline: float
    ) -> bytes:
        def run(
            signature: Signature, inputs: dict[str, np.ndarray], outputs: tuple[str, ...]
        ) -> dict[str, np.ndarray]:
            return self.engine.run(held, signature, inputs, outputs, deadline)

        with held:
            found = classify_regress.VERBS[verb](
                run,
                signature,
                classify_regress.examples(given),
                self.options.enable_signature_method_name_check,
            )
            return (
                json_examples.classifications(found)
                if verb == "classify"
                else json_examples.regressions(found)
            )

    async def _aside(self, work: Callable[[], Any]) -> Any:
        """In a thread, which counts as busy until it is done, even if nobody waits any more."""
        self._busy += 1
        loop, future = asyncio.get_running_loop(), self._threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await _waited(future)

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
        return (
            _unpacked(body, most)
            if request.headers.get("Content-Encoding", "").lower() == "gzip"
            else body
        )


async def _waited(future: concurrent.futures.Future) -> Any:
    """Its result. It goes on if the request is given up, and nobody misses its exception then."""
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(waiting)


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
        raise invalid(
            "JSON Value: not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def _signature(held: Held, name: str) -> Signature:
    try:
        return held.loaded.signature(name)
    except ServingError as error:
        raise invalid(error.message) from None
