"""Reads TFRecord files without TensorFlow.

A record is its length (8 bytes, the lowest first), a checksum of that, its content, and a checksum
of that. The checksum is a masked CRC-32C (RFC 3720, appendix B.4).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

POLYNOMIAL = 0x82F63B78  # CRC-32C's, its bits reversed
BLOCK = 4096  # bytes whose checksum is one gather and one sum
LENGTH_BYTES = 8
CHECKSUM_BYTES = 4


class DamagedFile(Exception):
    """A file that ends amid a record, or whose checksums are wrong."""


def read_records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file in order. Raises OSError, and DamagedFile at the first damage."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while head := file.read(LENGTH_BYTES + CHECKSUM_BYTES):
            length = int.from_bytes(head[:LENGTH_BYTES], "little")
            if not _is_whole(head[:LENGTH_BYTES], head[LENGTH_BYTES:]) or length > size:
                raise DamagedFile
            content = file.read(length)
            if len(content) < length or not _is_whole(content, file.read(CHECKSUM_BYTES)):
                raise DamagedFile
            yield content


def masked_checksum(content: bytes) -> int:
    """Return the checksum as it stands behind a content."""
    checksum = _checksum(content)
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    return (rotated + 0xA282EAD8) & 0xFFFFFFFF


def _is_whole(content: bytes, checksum: bytes) -> bool:
    return checksum == masked_checksum(content).to_bytes(CHECKSUM_BYTES, "little")


def _checksum(content: bytes) -> int:
    """Return the CRC-32C.

    It is linear: the checksum of a block is the sum, without carry, of what each byte contributes
    at its distance from the block's end. What came before is added to the block's first four bytes.
    """
    state = 0xFFFFFFFF
    for begin in range(0, len(content), BLOCK):
        block = np.frombuffer(content, np.uint8, min(BLOCK, len(content) - begin), begin).copy()
        before = np.frombuffer(state.to_bytes(4, "little"), np.uint8)[: len(block)]
        block[: len(before)] ^= before
        distances = np.arange(len(block))[::-1]
        state = state >> 8 * len(before)
        state ^= int(np.bitwise_xor.reduce(_contributions()[distances, block]))
    return state ^ 0xFFFFFFFF


@functools.cache
def _contributions() -> np.ndarray:
    """Return what each byte contributes, [BLOCK, 256] by distance from the end and value."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ POLYNOMIAL, table >> 1).astype(np.uint32)
    contributions = np.empty((BLOCK, 256), np.uint32)
    contributions[0] = table
    for distance in range(1, BLOCK):
        before = contributions[distance - 1]
        contributions[distance] = table[before & 0xFF] ^ before >> 8
    return contributions
