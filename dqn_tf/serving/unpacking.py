"""Unpacks what clients send packed, a piece at a time."""

import zlib

from dqn_tf.serving.errors import ServingError, check_deadline
from dqn_tf.serving.workload import Claim

GZIP = zlib.MAX_WBITS | 16
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # zlib finds out which of the two
PIECE_BYTES = 128 << 10  # that are unpacked in one go


def unpack(
    packed: bytes | bytearray,
    form: int,
    limit: int,
    too_large: ServingError,
    claim: Claim,
    deadline: float | None,
) -> bytearray:
    """Return at most `limit` bytes unpacked. The claim grows with them.

    Raises `too_large` for more, zlib.error for what is not packed so, EOFError for what is cut off,
    RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED.
    """
    decompressor = zlib.decompressobj(form)
    unpacked = bytearray()
    rest = packed
    while not decompressor.eof:
        check_deadline(deadline)
        piece = decompressor.decompress(rest, PIECE_BYTES)
        rest = decompressor.unconsumed_tail
        if len(unpacked) + len(piece) > limit:
            raise too_large
        claim.add(len(piece))
        unpacked += piece
        if not rest and len(piece) < PIECE_BYTES:
            break
    if not decompressor.eof:
        raise EOFError
    return unpacked
