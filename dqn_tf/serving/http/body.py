"""Reads the body of a request, within its limits."""

import asyncio
import zlib

from aiohttp import web

from dqn_tf.serving import unpacking
from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.unpacking import GZIP
from dqn_tf.serving.workload import HEAVY_BYTES, Claim

GRACE_SECONDS = 2.0  # for which a body may be slow
SLOW = 64 << 10  # bytes a second
WAY_SECONDS = 1.0  # in which a connection that was closed gives its room back


class BodyTooLarge(ServingError):
    """A body with more than --max_request_bytes, packed or unpacked."""

    def __init__(self, limit: int) -> None:
        super().__init__("RESOURCE_EXHAUSTED", f"The body is larger than {limit} bytes")


class Body:
    """A body as it was received."""

    def __init__(self, received: bytearray, is_gzip: bool) -> None:
        self.received = received
        self.is_gzip = is_gzip

    def content(self, limit: int, claim: Claim, deadline: float) -> bytearray:
        """Return the whole body, unpacked if it is gzip.

        Raises BodyTooLarge, RESOURCE_EXHAUSTED, INVALID_ARGUMENT, DEADLINE_EXCEEDED.
        """
        if self.is_gzip:
            return _unpack(self.received, limit, claim, deadline)
        return self.received


class IncomingBodies:
    """The bodies that are being received. Where they fill the room, slow ones make way.

    The room is that of all requests (`workload.ByteBudget`). A client that sends a part of a body
    and then hardly anything more would else keep the others out.
    """

    def __init__(self) -> None:
        self._all: set[_Incoming] = set()

    async def receive(self, request: web.BaseRequest, limit: int, claim: Claim) -> Body:
        """Receive a body. Raises BodyTooLarge, RESOURCE_EXHAUSTED, INVALID_ARGUMENT."""
        if (request.content_length or 0) > limit:
            raise BodyTooLarge(limit)
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        incoming = _Incoming(request.transport, asyncio.get_running_loop().time())
        self._all.add(incoming)
        try:
            async for part in request.content.iter_any():
                if len(incoming.received) + len(part) > limit:
                    raise BodyTooLarge(limit)
                await self._claim(claim, len(part))
                incoming.take(part, asyncio.get_running_loop().time())
        finally:
            self._all.remove(incoming)
        is_gzip = request.headers.get("Content-Encoding", "").lower() == "gzip"
        return Body(incoming.received, is_gzip)

    async def _claim(self, claim: Claim, size: int) -> None:
        """Claim further bytes, for which slow bodies may make way. Raises RESOURCE_EXHAUSTED."""
        gives_up_at = 0.0
        while True:
            try:
                claim.add(size)
                return
            except ServingError:
                now = asyncio.get_running_loop().time()
                if self._close_slowest(now):
                    gives_up_at = now + WAY_SECONDS
                elif now >= gives_up_at:
                    raise
            await asyncio.sleep(0.01)  # until the room is given back

    def _close_slowest(self, now: float) -> bool:
        """Close the connection of the slowest body, if that is slow; tell whether it was."""
        slow = [incoming for incoming in self._all if incoming.is_slow(now)]
        if not slow:
            return False
        min(slow, key=lambda incoming: incoming.newest_at).close()
        return True


class _Incoming:
    """One body that is being received."""

    def __init__(self, transport: asyncio.Transport | None, began: float) -> None:
        # One block of memory that grows: many small ones would leave holes when they are freed.
        self.received = bytearray()
        self.newest_at = began  # when the newest part came
        self._transport = transport
        self._began = began

    def take(self, part: bytes, now: float) -> None:
        """Take a part of the body."""
        self.received += part
        self.newest_at = now

    def is_slow(self, now: float) -> bool:
        """Tell whether it holds room, and hardly grows."""
        if len(self.received) <= HEAVY_BYTES or self._transport is None:
            return False
        seconds = now - self._began
        has_stalled = now - self.newest_at > GRACE_SECONDS
        return has_stalled or len(self.received) < SLOW * (seconds - GRACE_SECONDS)

    def close(self) -> None:
        """Close its connection."""
        assert self._transport is not None
        self._transport.abort()
        self._transport = None


def _unpack(packed: bytearray, limit: int, claim: Claim, deadline: float) -> bytearray:
    try:
        return unpacking.unpack(packed, GZIP, limit, BodyTooLarge(limit), claim, deadline)
    except zlib.error as error:
        raise invalid_argument(f"The body is said to be gzip, but is not: {error}") from None
    except EOFError:
        raise invalid_argument("The gzip body is cut off") from None
