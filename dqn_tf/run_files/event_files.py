"""TensorBoard's event files, cut where a resumed run goes on. Nothing here needs TensorFlow.

An event file is a sequence of records: length (uint64), its checksum (uint32), the event, its
checksum (uint32). An event's step is field 2 of a protocol buffer:
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/util/event.proto
"""

import os
import struct
from pathlib import Path

HEADER = struct.Struct("<QI")  # length of the event and its checksum
CHECKSUM_BYTES = 4
STEP = 2  # the field's number
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types


def drop_later_events(directory: Path, env_step: int) -> None:
    """Cut every event file in `directory` before its first event of a step after `env_step`.

    A run writes its events in the order of its blocks, so what follows is later, too. An event that
    a crash has torn is cut off with it. Raises OSError.
    """
    if not directory.is_dir():
        return
    for path in sorted(directory.glob("events.out.tfevents.*")):
        if not path.is_file():
            continue
        end = _end(path, env_step)
        if end < path.stat().st_size:
            os.truncate(path, end)


def _end(path: Path, env_step: int) -> int:
    """Return how many bytes come before the first event that is later or torn."""
    size = path.stat().st_size
    end = 0
    with path.open("rb") as file:
        while True:
            header = file.read(HEADER.size)
            if len(header) < HEADER.size:
                return end
            length, _ = HEADER.unpack(header)
            after = end + HEADER.size + length + CHECKSUM_BYTES
            if after > size:
                return end
            event = file.read(length)
            file.read(CHECKSUM_BYTES)
            if _step(event) > env_step:
                return end
            end = after


def _step(event: bytes) -> int:
    """Return an event's step; 0 if it has none, as the first event of a file."""
    place = 0
    while place < len(event):
        key, place = _varint(event, place)
        number, wire_type = key >> 3, key & 7
        if wire_type == VARINT:
            value, place = _varint(event, place)
            if number == STEP:
                return value
        elif wire_type == FIXED64:
            place += 8
        elif wire_type == LENGTH:
            length, place = _varint(event, place)
            place += length
        elif wire_type == FIXED32:
            place += 4
        else:
            return 0
    return 0


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Return a number of variable length, and the place after it."""
    value = shift = 0
    while place < len(data):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value, place
