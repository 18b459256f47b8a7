"""Reads a long body piece by piece into arrays.

At no time are there Python objects for more than one piece: those of a number take ten times the
memory of its text.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2

from dqn_tf.serving.errors import invalid_argument
from dqn_tf.serving.http import json_examples, json_reader, json_tensors
from dqn_tf.serving.http.json_pieces import Group, LongText, Span
from dqn_tf.serving.models.signature import Arrays, Signature, TensorInfo

MOST_VALUES = 1 << 21  # of one example; each becomes up to 32 bytes
KEYS = ("signature_name", "instances", "inputs", "examples", "context")


class LargeBody:
    """The members of a long body. `deadline` is a time.monotonic().

    Making it checks the syntax of all but the members that are used; using them checks theirs.
    All methods raise INVALID_ARGUMENT, and DEADLINE_EXCEEDED.
    """

    def __init__(self, body: bytes | bytearray, max_depth: int, deadline: float) -> None:
        self._text = LongText(body, max_depth, deadline)
        self._members: dict[str, Span] = {}
        start = len(json_reader.BYTE_ORDER_MARK) if body.startswith(b"\xef\xbb\xbf") else 0
        start = self._text.strip(Span(start, len(body))).start
        if body[start : start + 1] != b"{":
            raise invalid_argument("JSON Value: the body is not an object")
        whole = Span(start, self._text.end_of(start))
        for key, span in self._text.members(whole):
            if key in KEYS and key not in self._members:
                self._members[key] = span
            else:
                self._text.check(span)

    def check(self) -> None:
        """Check the syntax of all members."""
        for span in self._members.values():
            self._text.check(span)

    def value(self, key: str, default: Any) -> Any:
        """Return the value of a member that is not long."""
        if key not in self._members:
            return default
        if self._members[key].is_large:
            raise invalid_argument(f"JSON Value: {key!r} is too long")
        return self._text.read(self._members[key])

    def has(self, key: str) -> bool:
        """Return True if there is a member of that name."""
        return key in self._members

    def inputs(self, signature: Signature, max_rows: int) -> tuple[Arrays, bool]:
        """Return the signature's inputs, and True if they came as rows."""
        reader = _InputReader(self._text, signature, max_rows)
        if json_tensors.check_form(self._members):
            return reader.rows(self._members["instances"]), True
        return reader.columns(self._members["inputs"]), False

    def examples(self) -> Iterator[list]:
        """Yield the elements of `examples` in pieces; a large one as an Example."""
        span = self._members.get("examples")
        if span is None or not self._text.starts(span, b"["):
            yield []
            return
        yield from _ExampleReader(self._text).pieces(span)


class _Reader:
    """Reads values that may be large."""

    def __init__(self, text: LongText) -> None:
        self._text = text

    def _bytes(self, span: Span, alias: str) -> bytes | None:
        """Read a large text, or {"b64": text}; None for anything else."""
        if self._text.starts(span, b'"'):
            return b"".join(self._text.string(span))
        if self._is_base64(span):
            ((_, text),) = self._text.members(span)
            return self._base64(text, alias)
        return None

    def _is_base64(self, span: Span) -> bool:
        """Return True for {"b64": text}, however long the text is."""
        is_base64 = False
        if self._text.starts(span, b"{"):
            for count, (key, value) in enumerate(self._text.members(span)):
                is_base64 = count == 0 and key == "b64" and self._text.starts(value, b'"')
                if not is_base64:
                    break
        return is_base64

    def _base64(self, span: Span, alias: str) -> bytes:
        """Decode a long text of base64 in pieces of whole groups of four letters."""
        decoded = []
        rest = b""
        for piece in self._text.string(span):
            if b"=" in rest[:-2]:  # padding that is not at the end
                raise json_tensors.wrong_base64(alias)
            letters = rest + piece.translate(None, json_tensors.WHITESPACE)
            whole = len(letters) - len(letters) % 4
            if b"=" in letters[:whole]:  # the padding, so this should be the end
                whole = 0
            decoded.append(json_tensors.decode_base64(letters[:whole], alias))
            rest = letters[whole:]
        decoded.append(json_tensors.decode_base64(rest, alias))
        return b"".join(decoded)


class _ExampleReader(_Reader):
    """Reads the examples of a classify or regress request."""

    def pieces(self, span: Span) -> Iterator[list]:
        """Yield the examples in pieces: objects of features, or a large one as an Example."""
        for group in self._text.groups(span):
            if group.is_large_element:
                yield [self._example(self._text.strip(group.span))]
            else:
                yield self._text.read_group(group)

    def _example(self, span: Span) -> example_pb2.Example:
        if not self._text.starts(span, b"{"):
            raise invalid_argument("Example must be JSON object")
        example = example_pb2.Example()
        names: set[str] = set()
        count = 0
        for name, value in self._text.members(span):
            if name in names:  # the first counts
                self._text.check(value)
                continue
            names.add(name)
            for values in self._feature_values(value, name):
                count += len(values)
                if count > MOST_VALUES:
                    raise invalid_argument(f"An example has more than {MOST_VALUES} values")
                json_examples.add_feature(example, name, values)
        return example

    def _feature_values(self, span: Span, name: str) -> Iterator[list]:
        """Yield the values of a feature in pieces."""
        if not span.is_large:
            value = self._text.read(span)
            yield value if isinstance(value, list) else [value]
        elif self._text.starts(span, b"["):
            for group in self._text.groups(span):
                if group.is_large_element:
                    yield [self._bytes(self._text.strip(group.span), name)]
                else:
                    yield self._text.read_group(group)
        else:
            yield [self._bytes(span, name)]


class _InputReader(_Reader):
    """Reads the inputs of a signature."""

    def __init__(self, text: LongText, signature: Signature, max_rows: int) -> None:
        super().__init__(text)
        self._signature = signature
        self._max_rows = max_rows

    def rows(self, span: Span) -> Arrays:
        """Read a list of rows."""
        if not self._text.starts(span, b"["):
            raise json_tensors.empty_rows()
        pieces: dict[str, list[np.ndarray]] = {alias: [] for alias in self._signature.inputs}
        has_names: bool | None = None
        rows = 0
        for group in self._text.groups(span):
            arrays, has_names = self._row_group(group, has_names)
            rows += group.size
            for alias, array in arrays.items():
                tensor = self._signature.inputs[alias]
                elements = rows * (array.size // len(array))
                tensor.check_size(rows, elements, self._max_rows, alias)
                pieces[alias].append(array)
        if has_names is None:
            raise json_tensors.empty_rows()
        return {alias: _join(arrays, alias) for alias, arrays in pieces.items()}

    def columns(self, span: Span) -> Arrays:
        """Read a value, a list, or an object of columns."""
        has_names = self._text.starts(span, b"{") and not self._is_base64(span)
        json_tensors.check_one_input(self._signature, has_names, "inputs")
        if not has_names:
            ((alias, tensor),) = self._signature.inputs.items()
            return {alias: self._array(span, tensor, alias)}
        arrays = self._named_arrays(span)
        for alias in self._signature.inputs:
            if alias not in arrays:
                raise json_tensors.missing_input(alias)
        return arrays

    def _row_group(self, group: Group, has_names: bool | None) -> tuple[Arrays, bool]:
        """Read some rows, or a single large one."""
        if not group.is_large_element:
            rows = self._text.read_group(group)
            if has_names is None:
                has_names = json_tensors.is_named(rows[0])
            inputs = json_tensors.read_rows(rows, self._signature, self._max_rows, has_names)
            return inputs, has_names
        span = self._text.strip(group.span)
        is_named = self._text.starts(span, b"{") and not self._is_base64(span)
        if has_names not in (None, is_named):
            raise invalid_argument("Expecting all items of input list to be objects, or none")
        json_tensors.check_one_input(self._signature, is_named, "instances")
        if is_named:
            arrays = self._named_arrays(span, outer_rank=1)
            if arrays.keys() != self._signature.inputs.keys():
                raise json_tensors.wrong_keys(self._signature, 0)
        else:
            ((alias, tensor),) = self._signature.inputs.items()
            arrays = {alias: self._array(span, tensor, alias, outer_rank=1)}
        return {alias: array[np.newaxis] for alias, array in arrays.items()}, is_named

    def _named_arrays(self, span: Span, outer_rank: int = 0) -> Arrays:
        """Read an object of named inputs; of an unknown name only the syntax is checked."""
        arrays: Arrays = {}
        for key, value in self._text.members(span):
            tensor = self._signature.inputs.get(key)
            if tensor is None and outer_rank:
                raise json_tensors.wrong_keys(self._signature, 0)
            if tensor is None or key in arrays:
                self._text.check(value)
            else:
                arrays[key] = self._array(value, tensor, key, outer_rank)
        return arrays

    def _array(self, span: Span, tensor: TensorInfo, alias: str, outer_rank: int = 0) -> np.ndarray:
        """Read the value of one input, nested in `outer_rank` further lists."""

        def convert(value: Any, rank: int) -> np.ndarray:
            return json_tensors.to_array(value, tensor, alias, self._max_rows, rank)

        span = self._text.strip(span)
        if not span.is_large:
            return convert(self._text.read(span), outer_rank)
        if self._text.starts(span, b"["):
            return self._list(span, tensor, alias, outer_rank + 1, convert)
        content = self._bytes(span, alias) if tensor.is_string else None
        if content is None:
            raise json_tensors.wrong_type("...", tensor.dtype.name, alias)
        return _scalar(content)

    def _list(
        self,
        span: Span,
        tensor: TensorInfo,
        alias: str,
        rank: int,
        convert: Callable[[Any, int], np.ndarray],
    ) -> np.ndarray:
        tensor.check_rank(rank, alias)
        pieces = []
        size = 0
        for group in self._text.groups(span):
            if group.is_large_element:
                pieces.append(self._array(group.span, tensor, alias, rank)[np.newaxis])
            else:
                # the group is a list itself, of this list's elements
                pieces.append(convert(self._text.read_group(group), rank - 1))
            size += group.size
            elements = size * (pieces[-1].size // len(pieces[-1]))
            tensor.check_size(size if rank == 1 else 0, elements, self._max_rows, alias)
        return _join(pieces, alias)


def _scalar(value: bytes) -> np.ndarray:
    array = np.empty((), object)
    array[()] = value
    return array


def _join(arrays: list[np.ndarray], alias: str) -> np.ndarray:
    """Join pieces along their first dimension. Raises INVALID_ARGUMENT if their rows differ."""
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise invalid_argument(f"Encountered list at unexpected size (input {alias!r})")
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
