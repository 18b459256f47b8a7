"""Reads the body of a request, within its limit."""

import zlib

from aiohttp import web

from dqn_tf.serving.errors import ServingError, invalid_argument


class BodyTooLarge(ServingError):
    """A body with more than --max_request_bytes, packed or unpacked."""

    def __init__(self, limit: int) -> None:
        super().__init__("RESOURCE_EXHAUSTED", f"The body is larger than {limit} bytes")


async def read_body(request: web.BaseRequest, limit: int) -> bytes:
    """Return the whole body, unpacked if it is gzip. Raises BodyTooLarge, INVALID_ARGUMENT."""
    if (request.content_length or 0) > limit:
        raise BodyTooLarge(limit)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts = []
    size = 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
    body = b"".join(parts)
    is_gzip = request.headers.get("Content-Encoding", "").lower() == "gzip"
    return _unpack(body, limit) if is_gzip else body


def _unpack(body: bytes, limit: int) -> bytes:
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        unpacked = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise invalid_argument(f"The body is said to be gzip, but is not: {error}") from None
    if len(unpacked) > limit:
        raise BodyTooLarge(limit)
    if not decompressor.eof:
        raise invalid_argument("The gzip body is cut off")
    return unpacked
