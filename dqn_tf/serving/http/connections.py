"""Connections: none may keep the server waiting for long, and there is an end to their number.

A connection waits for its client while it is idle, and while the head or the body of a request is
incomplete. One that waits for too long is closed (for the body: after the time of the request). If
there are too many, the one that waits longest is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from aiohttp import StreamReader, web

from dqn_tf.serving.errors import invalid_argument
from dqn_tf.serving.http.intake import SHORT_BYTES, TURN_BYTES, Intake

HEAD_SECONDS = 10  # for the head of a request, from its first byte on
IDLE_SECONDS = 120  # between two requests
WRITE_SECONDS = 30  # that a client may take to read one part of its reply
SWEEP_SECONDS = 1.0


class Connection(asyncio.Protocol):
    """One connection: passes everything to aiohttp's handler, and knows what it waits for.

    What comes waits for its turn (`intake`), and for the handler, which may pause.
    """

    def __init__(self, connections: "Connections", handler: web.RequestHandler) -> None:
        self.handler = handler
        self.transport: asyncio.Transport | None = None
        self.waits_since = 0.0
        self.has_begun = False  # the head is incomplete
        self._connections = connections
        self._received = 0  # bytes of the present request
        self._held = b""  # what waits for its turn
        self._is_paused = False  # by the handler
        self.request: web.BaseRequest | None = None  # that is being answered
        self._rest: StreamReader | None = None  # the body of the last one
        self._written_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if hasattr(transport, "max_size"):  # asyncio's own would read much more at a time
            transport.max_size = TURN_BYTES
        self.handler.connection_made(cast(asyncio.Transport, _HandlersTransport(self, transport)))
        self.wait()
        self.progress()
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass data on when it is its turn; the first of a head starts the head's time."""
        if self.is_waiting and not self.has_begun and not self._is_reading_rest():
            self.has_begun = True
            self.waits_since = asyncio.get_running_loop().time()
        self._received += len(data)
        intake = self._connections.intake
        if self._received <= SHORT_BYTES or intake.admits(len(data)):
            self._pass(data)
            return
        self._held = data
        self._update_reading()
        intake.line_up(len(data), self._pass_held)

    def _is_reading_rest(self) -> bool:
        """Return True if the body of the last request, which was not needed, is still coming."""
        return self._rest is not None and not self._rest.is_eof()

    def pause_reading(self) -> None:
        """Read no more until the handler can take it."""
        self._is_paused = True
        self._update_reading()

    def resume_reading(self) -> None:
        """Read on, unless something waits for its turn."""
        self._is_paused = False
        self._update_reading()

    def _pass_held(self) -> None:
        data, self._held = self._held, b""
        if self.transport is not None and not self.transport.is_closing():
            self._pass(data)
            self._update_reading()

    def _pass(self, data: bytes) -> None:
        self.handler.data_received(data)
        self.end_broken_body()

    def end_broken_body(self) -> None:
        """Tell who reads a body that its chunks are none, and take no more of this client.

        aiohttp lets go of such a body without a word, and lines up an error behind the request.
        Nothing else can follow a body that is not whole.
        """
        if self.request is None or not self.is_reading or not self.handler._messages:
            return
        self.handler._messages.clear()
        self.handler.close()
        error = invalid_argument("The body is not in chunks, as its head says")
        self.request.content.set_exception(error)
        self.request.content.feed_eof()

    def _update_reading(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if self._held or self._is_paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def eof_received(self) -> bool | None:
        """Pass the end on."""
        self.handler.eof_received()
        return None

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self._connections.discard(self)
        self.handler.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass on that the client reads too slowly."""
        self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the client has read."""
        self.handler.resume_writing()

    @property
    def is_waiting(self) -> bool:
        """True while the head of a request has not come."""
        return self.request is None

    def wait(self) -> None:
        """Begin to wait for the next request."""
        self._rest = None if self.request is None else self.request.content
        self.request = None
        self.has_begun = False
        self._received = 0
        self.waits_since = asyncio.get_running_loop().time()

    def is_late(self, now: float) -> bool:
        """Return True if the client has kept the server waiting for too long."""
        if self.is_waiting:
            limit = HEAD_SECONDS if self.has_begun else IDLE_SECONDS
            if now - self.waits_since > limit:
                return True
        if self.transport is None or self.transport.get_write_buffer_size() == 0:
            self.progress()
        return now - self._written_at > WRITE_SECONDS

    def progress(self) -> None:
        """Note that the client has read a part of its reply."""
        self._written_at = asyncio.get_running_loop().time()

    @property
    def is_reading(self) -> bool:
        """True while the body of a request comes in."""
        return self.request is not None and not self.request.content.is_eof()

    def abort(self) -> None:
        """Close at once; what is unwritten is lost."""
        if self.transport is not None:
            self.transport.abort()


class _HandlersTransport:
    """The transport as aiohttp's handler sees it: whether to read is the connection's to say."""

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.write = transport.write
        self.writelines = transport.writelines
        self.is_closing = transport.is_closing
        self.pause_reading = connection.pause_reading
        self.resume_reading = connection.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Connections:
    """All connections of the HTTP port, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.intake = Intake()
        self._limit = limit
        self._all: dict[int, Connection] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    def new(self, make_handler: Callable[[], web.RequestHandler]) -> Connection:
        """Return the protocol of a connection that is being made."""
        return Connection(self, make_handler())

    def add(self, connection: Connection) -> None:
        """Add a connection; if there are too many, the one that waits longest is closed."""
        if len(self._all) >= self._limit:
            waiting = [each for each in self._all.values() if each.is_waiting or each.is_reading]
            victim = min(waiting, key=lambda each: each.waits_since, default=connection)
            victim.abort()
            self.discard(victim)
            if victim is connection:
                return
        self._all[id(connection.handler)] = connection

    def discard(self, connection: Connection) -> None:
        """Forget a connection."""
        self._all.pop(id(connection.handler), None)

    def of(self, request: web.BaseRequest) -> Connection | None:
        """Return the connection of a request; None if it has just been closed."""
        return self._all.get(id(request.protocol))

    def start(self) -> None:
        """Close late connections from now on."""
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._sweep)

    def finish(self) -> None:
        """Close connections that wait for a request, and the others after their reply."""
        for connection in list(self._all.values()):
            if not connection.is_reading:
                connection.handler.close()
            if connection.is_waiting and connection.transport is not None:
                connection.transport.close()

    def abort(self) -> None:
        """Close all connections at once."""
        for connection in list(self._all.values()):
            connection.abort()

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self._all.values()):
            if connection.is_late(now):
                connection.abort()
        self.start()
