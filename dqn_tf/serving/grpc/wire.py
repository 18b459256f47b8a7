"""Looks at the bytes of a message before protobuf reads it.

A field of two bytes may become an object of a hundred. So the fields of a long message are counted
first, without making anything of them.
"""

import zlib

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from dqn_tf.serving import unpacking
from dqn_tf.serving.errors import ServingError, check_deadline, invalid_argument
from dqn_tf.serving.unpacking import GZIP_OR_ZLIB
from dqn_tf.serving.workload import Claim

MOST_FIELDS = 1 << 15
# numbers of variable length, which protobuf unfolds while no other thread of Python runs
MOST_VARINT_BYTES = 4 << 20
MOST_LEVELS = 100  # of messages in messages, as of protobuf
FIELDS_BETWEEN_CHECKS = 1 << 12  # of the deadline
GZIP_MAGIC = b"\x1f\x8b"
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types
FIXED_TYPES = {
    FieldDescriptor.TYPE_DOUBLE,
    FieldDescriptor.TYPE_FLOAT,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
}


def is_packed(message: bytes) -> bool:
    """Return True for gzip or deflate; no message of the API begins as those do."""
    return message.startswith(GZIP_MAGIC) or _is_zlib(message)


def unpack(message: bytes, limit: int, claim: Claim, deadline: float | None) -> bytes:
    """Return a packed message unpacked. The claim grows with it.

    Raises RESOURCE_EXHAUSTED beyond `limit` bytes, INVALID_ARGUMENT, DEADLINE_EXCEEDED.
    """
    too_large = ServingError("RESOURCE_EXHAUSTED", f"The message is larger than {limit} bytes")
    try:
        return bytes(unpacking.unpack(message, GZIP_OR_ZLIB, limit, too_large, claim, deadline))
    except zlib.error as error:
        raise invalid_argument(f"The message cannot be unpacked: {error}") from None
    except EOFError:
        raise invalid_argument("The packed message is cut off") from None


def check(message: bytes, descriptor: Descriptor, deadline: float | None) -> None:
    """Raise INVALID_ARGUMENT for a message that protobuf would unfold into too much."""
    _Counter(message, deadline).count(descriptor, 0, len(message))


def _is_zlib(message: bytes) -> bool:
    return message[:1] == b"\x78" and int.from_bytes(message[:2], "big") % 31 == 0


class _Counter:
    """Counts the fields of a message and of those in it."""

    def __init__(self, message: bytes, deadline: float | None) -> None:
        self._message = message
        self._deadline = deadline
        self._fields = 0
        self._varint_bytes = 0

    def count(self, descriptor: Descriptor, start: int, end: int, level: int = 0) -> None:
        """Count the fields from `start` to `end`, those of a message on this level."""
        if level > MOST_LEVELS:
            raise _unreadable()
        position = start
        while position < end:
            self._count_field()
            tag, position = self._varint(position, end)
            field = descriptor.fields_by_number.get(tag >> 3)
            wire_type = tag & 7
            if wire_type == VARINT:
                _, position = self._varint(position, end)
            elif wire_type == FIXED64:
                position += 8
            elif wire_type == FIXED32:
                position += 4
            elif wire_type == LENGTH:
                size, position = self._varint(position, end)
                if size > end - position:
                    raise _unreadable()
                self._count_content(field, position, position + size, level)
                position += size
            else:
                raise _unreadable()
        if position > end:
            raise _unreadable()

    def _count_content(
        self, field: FieldDescriptor | None, start: int, end: int, level: int
    ) -> None:
        if field is None:
            return
        if field.message_type is not None:
            self.count(field.message_type, start, end, level + 1)
        elif field.type not in FIXED_TYPES:
            self._varint_bytes += end - start
            if self._varint_bytes > MOST_VARINT_BYTES:
                raise invalid_argument(
                    f"The message has more than {MOST_VARINT_BYTES} bytes of integers of variable"
                    " length; send them as tensor_content"
                )

    def _count_field(self) -> None:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise invalid_argument(
                f"The message has more than {MOST_FIELDS} fields; send the values of a tensor"
                " packed or as tensor_content"
            )
        if self._fields % FIELDS_BETWEEN_CHECKS == 0:
            check_deadline(self._deadline)

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if position >= end:
                raise _unreadable()
            byte = self._message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, position
        raise _unreadable()


def _unreadable() -> ServingError:
    return invalid_argument("The message cannot be read")
