"""Reads the body of a request, within its limits."""

import zlib

from aiohttp import web

from dqn_tf.serving import unpacking
from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.unpacking import GZIP
from dqn_tf.serving.workload import Claim


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


async def read_body(request: web.BaseRequest, limit: int, claim: Claim) -> Body:
    """Receive the body. Raises BodyTooLarge, RESOURCE_EXHAUSTED, INVALID_ARGUMENT."""
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # One block of memory that grows: many small ones would leave holes when they are freed.
    received = bytearray()
    async for part in request.content.iter_any():
        if len(received) + len(part) > limit:
            raise BodyTooLarge(limit)
        claim.add(len(part))
        received += part
    is_gzip = request.headers.get("Content-Encoding", "").lower() == "gzip"
    return Body(received, is_gzip)


def _unpack(packed: bytearray, limit: int, claim: Claim, deadline: float) -> bytearray:
    try:
        return unpacking.unpack(packed, GZIP, limit, BodyTooLarge(limit), claim, deadline)
    except zlib.error as error:
        raise invalid_argument(f"The body is said to be gzip, but is not: {error}") from None
    except EOFError:
        raise invalid_argument("The gzip body is cut off") from None
