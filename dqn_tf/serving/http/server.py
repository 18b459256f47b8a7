"""The HTTP server: TensorFlow Serving's REST API on aiohttp, without its router.

The path is read raw, since TensorFlow Serving does so.
"""

import asyncio
import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.http import hosts, json_writer, routes
from dqn_tf.serving.http.connections import Connection, Connections
from dqn_tf.serving.http.handlers import ApiHandlers
from dqn_tf.serving.http.hosts import Hosts
from dqn_tf.serving.http.middleware.cors import with_cors
from dqn_tf.serving.http.middleware.errors import with_errors
from dqn_tf.serving.http.middleware.metrics import with_metrics
from dqn_tf.serving.http.pages import PageLookup, Pages
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.options import Options
from dqn_tf.serving.workload import Workload

BACKLOG = 128  # connections that wait to be accepted
LINGERING_SECONDS = 2  # that the rest of a refused body is read, so that the client gets the reply
MOST_HEADERS = 40  # of at most 8,190 bytes each
READ_BYTES = 64 << 10  # of a body that wait to be taken
WRITE_BYTES = 256 << 10  # of a reply that are written in one go
POLL_SECONDS = 0.05  # between two looks whether all connections are closed

log = logging.getLogger("dqn_tf.serving")


class HttpServer:
    """Answers API requests below /v1/, and pages elsewhere."""

    def __init__(
        self,
        runner: SignatureRunner,
        options: Options,
        workload: Workload,
        metrics_path: str | None = None,
        page_lookup: PageLookup | None = None,
    ) -> None:
        api = with_errors(
            ApiHandlers(runner, options, workload).handle, options.rest_api_timeout_in_ms
        )
        api = with_metrics(api, runner)
        self._api = with_cors(api, options.rest_api_enable_cors_support)
        self._pages = Pages(runner.metrics, metrics_path, page_lookup)
        self._hosts = Hosts(options.host, *options.allowed_hosts.split(","))
        self._bytes = workload.bytes
        self._connections = Connections(options.max_connections)
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        server = web.Server(
            self._handle,
            access_log=None,
            auto_decompress=False,
            logger=_HttpLog(),
            lingering_time=LINGERING_SECONDS,
            max_headers=MOST_HEADERS,
            read_bufsize=READ_BYTES,
        )
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: self._connections.new(server), host, port, backlog=BACKLOG
        )
        self._connections.start()
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, and wait until the requests at work have ended."""
        if self._listener is not None:
            self._listener.close()
        while len(self._connections):
            self._connections.finish()
            await asyncio.sleep(POLL_SECONDS)

    def abort(self) -> None:
        """Close all connections at once."""
        self._connections.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = self._connections.of(request)
        if connection is None:
            raise ConnectionResetError("The connection has just been closed")
        connection.request = request
        connection.end_broken_body()
        try:
            with self._bytes.claim() as claim:
                request["claim"] = claim
                return await _send(request, await self._answer(request), connection)
        finally:
            connection.wait()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        target_host, path = hosts.split_target(request.raw_path)
        request["path"] = path
        host = request.headers.get("Host", "") if target_host is None else target_host
        if not self._hosts.allows(host):
            return _forbidden(host)
        if routes.API.match(path):
            return await self._api(request)
        return self._pages.answer(request.method, path)


def _forbidden(host: str) -> web.Response:
    message = (
        f"The host {host[:100]!r} is none of this server's. Start it with --allowed_hosts=NAME to"
        " be asked under that name."
    )
    return web.Response(
        status=403, body=json_writer.error(message), content_type="application/json"
    )


async def _send(
    request: web.BaseRequest, response: web.Response, connection: Connection
) -> web.StreamResponse:
    """Write a long reply part by part; a short one is left to aiohttp."""
    body = response.body
    if not isinstance(body, bytes) or len(body) <= WRITE_BYTES or request.method == "HEAD":
        return response
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    stream.content_length = len(body)
    await stream.prepare(request)
    for start in range(0, len(body), WRITE_BYTES):
        await stream.write(body[start : start + WRITE_BYTES])
        connection.progress()
    await stream.write_eof()
    return stream


class _HttpLog(logging.LoggerAdapter):
    """The log of aiohttp's server: a request that is no HTTP is the client's fault."""

    def __init__(self) -> None:
        super().__init__(log, {})

    def exception(self, msg: object, *args: object, exc_info: Any = True, **kwargs: Any) -> None:
        """Log an error that the server made; leave out one that the client made."""
        if not isinstance(exc_info, (HttpProcessingError, ConnectionError, ServingError)):
            super().exception(msg, *args, exc_info=exc_info, **kwargs)
