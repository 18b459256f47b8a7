"""Reads the numbers that offline runs of Weights & Biases hold, from their .wandb files.

A file begins with 7 bytes; then it is a log of LevelDB's format: blocks of 32 KiB, with records of
checksum (uint32), length (uint16), type (byte) and data; one that does not fit is split. Each is a
protocol buffer. https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32 * 1024
HEADER = struct.Struct("<IHB")
FILE_HEADER_BYTES = 7
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def has_ended(path: Path) -> bool:
    """Tell whether the file has the record that ends it."""
    return any(record.WhichOneof("record_type") == "exit" for record in _messages(path))


def project(path: Path) -> str:
    """Return the project that the file is of; empty if it says none yet."""
    projects = (record.run.project for record in _messages(path))
    return next(filter(None, projects), "")


def history(path: Path) -> Iterator[dict[str, float]]:
    """Yield the rows that were logged, by the names of their numbers."""
    for record in _messages(path):
        if record.WhichOneof("record_type") != "history":
            continue
        row = {}
        for item in record.history.item:
            value = json.loads(item.value_json)
            if isinstance(value, str):
                value = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.get(value, value)
            row[item.key or ".".join(item.nested_key)] = float(value)
        yield row


def _messages(path: Path) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    for data in records(path.read_bytes()):
        yield Record.FromString(data)


def records(data: bytes) -> Iterator[bytes]:
    """Yield the whole records of a file; one that a crash has torn ends it."""
    place = FILE_HEADER_BYTES
    parts: list[bytes] = []
    while True:
        left = BLOCK - place % BLOCK
        if left < HEADER.size:
            place += left  # a block's end that holds no header is empty
            continue
        if place + HEADER.size > len(data):
            return
        _, length, kind = HEADER.unpack_from(data, place)
        place += HEADER.size
        if kind not in (FULL, FIRST, MIDDLE, LAST) or place + length > len(data):
            return
        if kind in (FULL, FIRST):
            parts = []
        parts.append(data[place : place + length])
        place += length
        if kind in (FULL, LAST):
            yield b"".join(parts)
