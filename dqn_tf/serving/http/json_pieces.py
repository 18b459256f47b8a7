"""Cuts a long JSON text into pieces, without building anything of it.

NumPy finds the separators block by block. A piece is then read by orjson, which also checks its
syntax. So memory stays a small multiple of the text, and no step keeps the interpreter from other
threads for more than some milliseconds.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from dqn_tf.serving.errors import ServingError, check_deadline, invalid_argument
from dqn_tf.serving.http import json_reader

BLOCK_BYTES = 64 << 10
# a text up to so many bytes is read in one go
PIECE_BYTES = 128 << 10
# of an object that is not read in one go; each takes some microseconds
MOST_MEMBERS = 1 << 19
# deeper than this, a large value is only checked, token by token
MOST_LEVELS = 32
ESCAPED = re.compile(rb"\\.", re.DOTALL)
HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB]..")
SPACES = b" \t\n\r"
QUOTE, COMMA, COLON, UNICODE_ESCAPE = b'",:u'
OPENING, CLOSING = b"{}"  # [ and ] become these when bit 5 is set


class Span(NamedTuple):
    """A part of a text."""

    start: int
    end: int

    @property
    def is_large(self) -> bool:
        """True if it is not read in one go."""
        return self.end - self.start > PIECE_BYTES


class Group(NamedTuple):
    """Some neighbouring elements of a list."""

    span: Span
    size: int

    @property
    def is_large_element(self) -> bool:
        """True if it is one element, and not read in one go."""
        return self.size == 1 and self.span.is_large


class LongText:
    """A JSON text that is read in pieces. `deadline` is a time.monotonic().

    All methods raise INVALID_ARGUMENT where the text is no JSON, and DEADLINE_EXCEEDED.
    """

    def __init__(self, text: bytes | bytearray, max_depth: int, deadline: float) -> None:
        self.text = text
        self.max_depth = max_depth
        self.deadline = deadline

    def strip(self, span: Span) -> Span:
        """Return the span without the spaces around its value."""
        start, end = span
        while start < end and self.text[start] in SPACES:
            block = self.text[start : min(end, start + BLOCK_BYTES)]
            start += len(block) - len(block.lstrip(SPACES))
        while end > start and self.text[end - 1] in SPACES:
            block = self.text[max(start, end - BLOCK_BYTES) : end]
            end -= len(block) - len(block.rstrip(SPACES))
        if start == end:
            raise _error("Missing a value", start)
        return Span(start, end)

    def starts(self, span: Span, first: bytes) -> bool:
        """Return True if the span, which is stripped, begins so."""
        return self.text.startswith(first, span.start)

    def read(self, span: Span) -> object:
        """Read the value that the span is, all of it."""
        return json_reader.read_value(self.text[span.start : span.end], self.max_depth)

    def read_group(self, group: Group) -> list:
        """Read the elements of a group."""
        start, end = group.span
        elements = json_reader.read_value(b"[%s]" % self.text[start:end], self.max_depth)
        if len(elements) != group.size:
            raise _error("Missing a value", start)
        return list(elements)

    def end_of(self, start: int) -> int:
        """Return where the list or object ends that starts there."""
        for _, end in self._separators(start):
            if end is not None:
                return end
        raise _error("Missing a closing bracket", len(self.text))

    def groups(self, span: Span) -> Iterator[Group]:
        """Cut the list that the span is into groups. An element that is large is alone in one."""
        start = span.start + 1
        for separators, end in self._separators(span.start):
            if len(separators):
                is_colon = np.frombuffer(self.text, np.uint8)[separators] == COLON
                if is_colon.any():
                    place = int(separators[is_colon.argmax()])
                    raise _error("Missing a comma or ] after an array element", place)
                first = int(separators[0])
                last = int(separators[-1])
                size = len(separators)
                if first - start > PIECE_BYTES:
                    yield Group(Span(start, first), 1)
                    start = first + 1
                    size -= 1
                if size:
                    yield Group(Span(start, last), size)
                start = last + 1
            if end is not None:
                self._check_end(span, end)
                if start > span.start + 1 or not self._is_blank(start, end - 1):
                    yield Group(Span(start, end - 1), 1)
                return
        raise _error("Missing a closing bracket", len(self.text))

    def members(self, span: Span) -> Iterator[tuple[str, Span]]:
        """Yield key and value of each member of the object that the span is."""
        key: str | None = None
        start = span.start + 1
        count = 0
        for separators, end in self._separators(span.start):
            count += len(separators)
            if count > 2 * MOST_MEMBERS:
                raise invalid_argument(f"An object has more than {MOST_MEMBERS} members")
            for position in [int(separator) for separator in separators]:
                if (self.text[position] == COLON) != (key is None):
                    raise _error("Missing a colon or a comma", position)
                if key is None:
                    key = self._read_key(Span(start, position))
                else:
                    yield key, self.strip(Span(start, position))
                    key = None
                start = position + 1
            if end is not None:
                self._check_end(span, end)
                if start == span.start + 1 and self._is_blank(start, end - 1):
                    return
                if key is None:
                    raise _error("Missing a name for an object member", start)
                yield key, self.strip(Span(start, end - 1))
                return
        raise _error("Missing a closing bracket", len(self.text))

    def check(self, span: Span, level: int = 0) -> None:
        """Check the syntax of the value that the span is."""
        span = self.strip(span)
        first = self.text[span.start : span.start + 1]
        if not span.is_large:
            self.read(span)
        elif first == b'"':
            for _ in self.string(span):
                pass
        elif level == MOST_LEVELS or first not in b"[{":
            text = self.text[span.start : span.end]
            json_reader.check_value(text, self.max_depth, self.deadline)
        elif first == b"{":
            for _, value in self.members(span):
                self.check(value, level + 1)
        else:
            for group in self.groups(span):
                if group.is_large_element:
                    self.check(group.span, level + 1)
                else:
                    self.read_group(group)

    def string(self, span: Span) -> Iterator[bytes]:
        """Yield the bytes of the string that the span is, in pieces."""
        position = span.start + 1
        end = span.end - 1
        if self.text[end] != QUOTE or end <= span.start:
            raise _error("Missing a closing quotation mark in string", end)
        while position < end:
            check_deadline(self.deadline)
            stop = self._string_boundary(position, min(position + PIECE_BYTES, end), end)
            piece = b'"%s"' % self.text[position:stop]
            value = json_reader.read_value(piece, self.max_depth)
            yield value.encode("utf-8", "surrogateescape")
            position = stop

    def _string_boundary(self, start: int, stop: int, end: int) -> int:
        """Move `stop` out of a character of UTF-8, and behind an escape that it would cut."""
        if stop == end:
            return end
        for _ in range(3):  # the bytes of a character after its first
            if 0x80 <= self.text[stop] < 0xC0:
                stop -= 1
        for position in range(max(start, stop - 6), stop):
            if self._is_escaped(start, position):
                letters = 5 if self.text[position] == UNICODE_ESCAPE else 1
                stop = max(stop, position + letters)
        if self._is_escaped(start, stop):
            stop += 5 if self.text[stop] == UNICODE_ESCAPE else 1
        is_pair = HIGH_SURROGATE.fullmatch(self.text, max(start, stop - 6), stop)
        if is_pair and self.text.startswith(b"\\u", stop):
            stop += 6
        return min(stop, end)

    def _is_escaped(self, start: int, position: int) -> bool:
        """Return True if an odd number of backslashes is before the position."""
        before = self.text[start:position]
        return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1

    def _is_blank(self, start: int, end: int) -> bool:
        begins_blank = not self.text[start : min(end, start + BLOCK_BYTES)].strip(SPACES)
        return begins_blank and not self.text[start:end].strip(SPACES)

    def _read_key(self, span: Span) -> str:
        span = self.strip(span)
        if self.text[span.start] != QUOTE:
            raise _error("Missing a name for an object member", span.start)
        if span.is_large:
            return b"".join(self.string(span)).decode("utf-8", "surrogateescape")
        return str(self.read(span))

    def _check_end(self, span: Span, end: int) -> None:
        """Raise unless the closing bracket fits the opening one, and ends the span."""
        fits = self.text[end - 1] == self.text[span.start] + 2  # as ] and } follow [ and {
        if not fits or span.end != end:
            raise _error("Missing a comma or a closing bracket", end)

    def _separators(self, start: int) -> Iterator[tuple[np.ndarray, int | None]]:
        """Find the commas and colons of the container that starts there, in their order.

        Yields those of one block after the other; with the last ones, the position behind the
        closing bracket.
        """
        depth = 0
        is_inside = False  # of a string
        for offset, block in self._blocks(start):
            check_deadline(self.deadline)
            if is_inside and b'"' not in block:
                continue
            data = np.frombuffer(block, np.uint8)
            in_string = np.logical_xor.accumulate(data == QUOTE) ^ is_inside
            bracket = data | 0x20
            steps = (bracket == OPENING).astype(np.int8) - (bracket == CLOSING).astype(np.int8)
            steps[in_string] = 0
            depths = np.cumsum(steps, dtype=np.int64) + depth
            is_separator = (data == COMMA) | (data == COLON)
            is_separator &= (depths == 1) & ~in_string
            ends = np.flatnonzero((depths == 0) & (steps < 0))
            if len(ends):
                last = int(ends[0])
                yield offset + np.flatnonzero(is_separator[:last]), offset + last + 1
                return
            yield offset + np.flatnonzero(is_separator), None
            depth = int(depths[-1])
            is_inside = bool(in_string[-1])

    def _blocks(self, start: int) -> Iterator[tuple[int, bytes | bytearray]]:
        """Yield the text in blocks, with escaped characters blanked out, and where each starts."""
        while start < len(self.text):
            stop = min(start + BLOCK_BYTES, len(self.text))
            block = self.text[start:stop]
            if b"\\" in block:
                backslashes = len(block) - len(block.rstrip(b"\\"))
                if backslashes % 2:  # the escaped character is in the next block
                    stop += 1
                    block = self.text[start:stop]
                block = ESCAPED.sub(b"__", block)
            yield start, block
            start = stop


def _error(problem: str, position: int) -> ServingError:
    return invalid_argument(f"JSON Parse error: {problem} at offset: {position}")
