"""What the JSON readers make of a text: in one go, token by token, and piece by piece."""

import gzip
import json
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.example import example_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from dqn_tf.serving.errors import ServingError
from dqn_tf.serving.http import json_pieces, json_reader, json_writer
from dqn_tf.serving.http.body import Body, BodyTooLarge
from dqn_tf.serving.http.documents import LargeDocument, SmallDocument
from dqn_tf.serving.http.large_body import LargeBody
from dqn_tf.serving.models.signature import Signature
from dqn_tf.serving.workload import ByteBudget

DEPTH = 1000
SPACES = ("", "", "", " ", "\n\t ")
TEXTS = ("", "a", 'q"', "\\", "\\\\n", "é", "😀", "\u2028", "[", "]}", ",", ":", "\n", "x" * 30)
NUMBERS = ("0", "-0", "1", "-17", "1.5", "2e3", "1E-7", "300", "9007199254740993", "-0.0")
ODD_NUMBERS = ("NaN", "Infinity", "-Infinity", "Inf")


def signature(**inputs: tuple[str, int | None]) -> Signature:
    """A signature whose inputs have these types and ranks; a rank of None is any."""
    definition = meta_graph_pb2.SignatureDef()
    for alias, (dtype, rank) in inputs.items():
        info = definition.inputs[alias]
        info.name = f"{alias}:0"
        info.dtype = tf.as_dtype(dtype).as_datatype_enum
        info.tensor_shape.unknown_rank = rank is None
        for _ in range(rank or 0):
            info.tensor_shape.dim.add().size = -1
    return Signature("test", definition)


class Draw:
    """Random JSON texts."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator

    def among(self, choices):
        return choices[self._generator.integers(len(choices))]

    def chance(self, share: float) -> bool:
        return bool(self._generator.random() < share)

    def space(self) -> str:
        return self.among(SPACES)

    def string(self) -> str:
        text = "".join(self.among(TEXTS) for _ in range(self._generator.integers(4)))
        return json.dumps(text, ensure_ascii=self.chance(0.5))

    def number(self, is_integer: bool) -> str:
        if is_integer:
            return str(self._generator.integers(-300, 300))
        return self.among(ODD_NUMBERS if self.chance(0.03) else NUMBERS)

    def leaf(self, kind: str) -> str:
        if kind == "string":
            return self.string() if self.chance(0.8) else '{"b64":"QUJD"}'
        if kind == "bool":
            return self.among(("true", "false"))
        return self.number(kind.startswith("int"))

    def array(self, kind: str, shape: tuple[int, ...]) -> str:
        """A nested list, now and then with a mistake."""
        if not shape:
            return self.leaf(
                self.among(("string", "bool", "int64")) if self.chance(0.001) else kind
            )
        size = shape[0] + (1 if self.chance(0.0005) else 0)
        parts = [self.space() + self.array(kind, shape[1:]) + self.space() for _ in range(size)]
        return "[" + ",".join(parts) + "]"

    def anything(self, depth: int) -> str:
        kind = self.among(("number", "string", "list", "object", "word") if depth else ("word",))
        if kind == "number":
            return self.among(NUMBERS)
        if kind == "string":
            return self.string()
        if kind == "word":
            return self.among(("true", "null"))
        inner = [self.anything(depth - 1) for _ in range(self._generator.integers(4))]
        if kind == "list":
            return "[" + ",".join(inner) + "]"
        return "{" + ",".join(f"{self.string()}:{value}" for value in inner) + "}"

    def document(self, kinds: dict[str, tuple[str, tuple[int, ...]]]) -> str:
        """A body with the inputs in rows or columns, and members that are ignored."""
        rows = int(self._generator.integers(1, 6))
        arrays = {alias: (kind, (rows, *shape)) for alias, (kind, shape) in kinds.items()}
        members = [f"{self.string()}:{self.anything(3)}" for _ in range(2)]
        if self.chance(0.5):
            objects = [
                "{"
                + ",".join(f'"{a}":{self.array(k, s[1:])}' for a, (k, s) in arrays.items())
                + "}"
                for _ in range(rows)
            ]
            members.append('"instances":[' + ",".join(objects) + "]")
        elif len(kinds) == 1 and self.chance(0.5):
            ((kind, shape),) = arrays.values()
            key = self.among(('"instances"', '"inputs"'))
            members.append(f"{key}:{self.array(kind, shape)}")
        else:
            columns = ",".join(f'"{a}":{self.array(k, s)}' for a, (k, s) in arrays.items())
            members.append('"inputs":{' + columns + "}")
        order = self._generator.permutation(len(members))
        text = "{" + ",".join(self.space() + members[index] for index in order) + "}"
        return text + self.among(("", " and so on", "]"))


def result(document, described: Signature):
    """The arrays, or None where the document is refused."""
    try:
        inputs, is_rows = document.inputs(described, 1000)
        document.check()
    except ServingError as error:
        assert error.code == "INVALID_ARGUMENT", error
        return None
    return is_rows, {alias: (array.dtype, array.tolist()) for alias, array in inputs.items()}


def small(body: bytes):
    return SmallDocument(json_reader.read_body(body, DEPTH))


def large(body: bytes):
    return LargeDocument(LargeBody(body, DEPTH, time.monotonic() + 60))


def either(read, body: bytes, described: Signature):
    try:
        document = read(body)
    except ServingError as error:
        assert error.code == "INVALID_ARGUMENT", error
        return None
    return result(document, described)


def test_pieces_give_what_the_whole_gives(monkeypatch, generator):
    """Also where a mistake is in the text: both refuse it."""
    draw = Draw(generator)
    refused = 0
    for turn in range(1200):
        monkeypatch.setattr(json_pieces, "BLOCK_BYTES", int(generator.integers(1, 40)))
        monkeypatch.setattr(json_pieces, "PIECE_BYTES", int(generator.integers(16, 60)))
        kinds = {
            alias: (
                draw.among(("float32", "int64", "string", "bool")),
                tuple(generator.integers(1, 4, generator.integers(3)).tolist()),
            )
            for alias in ("a", "b")[: generator.integers(1, 3)]
        }
        described = signature(
            **{
                alias: (kind, 1 + len(shape) if turn % 2 else None)
                for alias, (kind, shape) in kinds.items()
            }
        )
        body = draw.document(kinds).encode()
        if turn % 3 == 0:  # a byte changed
            at = int(generator.integers(len(body)))
            body = (
                body[:at]
                + draw.among((b"", b'"', b"[", b"}", b",", b"\xff", b"1"))
                + body[at + 1 :]
            )
        expected, found = (either(read, body, described) for read in (small, large))
        assert repr(found) == repr(expected), body
        refused += expected is None
    assert 120 < refused < 1000


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs":[' + b",".join([b'"%s"' % (b"a" * 30)] * 9) + b"]}",  # many strings in columns
        b'{"instances":[' + b",".join([b'"%s"' % (b"a" * 30)] * 9) + b"]}",
        b'{"instances":["%s": "b"]}' % (b"a" * 90),  # a colon between elements
        b'{"instances":["\\ud83d\x80\\ude00"]}',  # half of a character on each side of a byte
    ],
    ids=["columns", "rows", "colon", "surrogates"],
)
def test_long_lists_of_strings(monkeypatch, body):
    monkeypatch.setattr(json_pieces, "BLOCK_BYTES", 64)
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 40)
    described = signature(a=("string", 1))
    expected, found = (either(read, body, described) for read in (small, large))
    assert found == expected
    assert (found is None) == (b":" in body[14:] or b"ud83d" in body)


def test_tokens_give_what_the_standard_library_gives(generator):
    draw = Draw(generator)
    for _ in range(3000):
        text = draw.space() + draw.anything(4)
        expected = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
        value, rest = json_reader.TokenReader(text.encode(), DEPTH).read()
        assert value == expected and not rest.strip()
        json_reader.check_value(text.encode(), DEPTH, time.monotonic() + 60)


@pytest.mark.parametrize(
    "text",
    [
        b'"\\ud83d\\ude00' + b"\xc3\xa9" * 40 + b'\\\\"',
        b'"' + b"\\\\" * 50 + b'"',
        b'"' + b"\\u00e9\\n" * 30 + b'"',
        b'"' + b"\\\\u" * 30 + b'"',
        b'"' + b"\x80\xff" * 50 + b'"',
        b'"' + "😀".encode() * 30 + b'"',
        b'"' + b"\\ud83d\\ude00" * 20 + b'"',
    ],
    ids=repr,
)
def test_a_long_string_is_cut_between_its_characters(monkeypatch, text):
    whole = json_reader.read_value(text, DEPTH).encode("utf-8", "surrogateescape")
    for size in range(13, 40):
        monkeypatch.setattr(json_pieces, "PIECE_BYTES", size)
        long_text = json_pieces.LongText(text, DEPTH, time.monotonic() + 60)
        assert b"".join(long_text.string(json_pieces.Span(0, len(text)))) == whole


def examples(document) -> list[bytes] | None:
    """The examples; None where the document is refused."""
    try:
        serialized = document.examples()
    except ServingError as error:
        assert error.code == "INVALID_ARGUMENT", error
        return None
    parsed = [example_pb2.Example.FromString(one) for one in serialized]
    return [one.SerializeToString(deterministic=True) for one in parsed]


@pytest.mark.parametrize(
    "text",
    [
        b'{"examples": [{"x": [1, 2, 3, 4, 5, 6, 7, 8, 9]}, {"x": [1]}, {}]}',
        b'{"examples": [{"x": [1.5, 2e30, 0.5, 4.5], "y": "abcdefghijklmn", "z": []}]}',
        b'{"examples": [{"x": {"b64": "QUJDREVGR0hJSktMTU5P"}, "y": [true, false, true]}]}',
        b'{"examples": [{"x": ["abcdefghijklmnopqrst", "b", {"b64": "QUJD"}]}]}',
        b'{"examples": [{"x": 1, "x": [1, 2, 3, 4, 5, 6]}], "context": {"c": 1}}',
        b'{"examples": [{"x": [1, 2, 3, 4, 5, 6, 7, 1.5]}]}',
        b'{"examples": [{"x": ["abcdefghijklmnopqrst", 1, 1, 1, 1]}]}',
        b'{"examples": [{"x": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]}]}',
        b'{"examples": [{"x": [null, null, null, null, null]}]}',
        b'{"examples": [{"x": {"b65": "QUJDREVGR0hJSktMTU5P"}}]}',
        b'{"examples": [{"x": {"b64": "QUJDRE=GR0hJSktMTU5P"}}]}',
        b'{"examples": [{"x": {"b64": "QUJDREV\\nGR0hJSktM\\r\\n TU5PUA==\\n"}}]}',
        b'{"examples": [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]]}',
        b'{"examples": ["abcdefghijklmnopqrstuvw"]}',
    ],
    ids=repr,
)
def test_a_large_example_is_read_in_pieces(monkeypatch, text):
    expected = examples(small(text))
    for size in range(9, 30):  # a context may not be large
        monkeypatch.setattr(json_pieces, "BLOCK_BYTES", size // 2)
        monkeypatch.setattr(json_pieces, "PIECE_BYTES", size)
        assert examples(large(text)) == expected, size


@pytest.mark.parametrize(
    "body, status",
    [
        (b'{"x": {"a": 1, "a": 2}, "inputs": [1]}', [1]),
        (b'{"inputs": [1], "inputs": [2]}', [1]),
        (b'{"inputs": {"a": [1], "a": [2]}}', [1]),
        (b'{"inputs": {"a": [1], "b": [2]}}', [1]),
        (b'{"note": "a:b", "inputs": [1]}', [1]),
    ],
)
def test_of_a_key_given_twice_the_first_value_counts(monkeypatch, body, status):
    monkeypatch.setattr(json_pieces, "PIECE_BYTES", 4)
    for read in (small, large):
        _, arrays = either(read, body, signature(a=("int64", None)))
        assert arrays["a"][1] == status


def test_a_string_may_not_be_nested_deeper_than_its_signature_says():
    body = b'{"inputs": [["a"]]}'
    assert either(small, body, signature(a=("string", 2))) is not None
    assert either(small, body, signature(a=("string", 1))) is None
    assert either(small, b'{"inputs": [[1]]}', signature(a=("int64", 1))) is not None


def test_a_body_is_unpacked_within_its_limit():
    budget = ByteBudget(10_000_000, 10_000_000)
    packed = gzip.compress(bytes(3_000_000)) + b"what follows is ignored"
    body = Body(bytearray(packed), is_gzip=True)
    assert body.content(3_000_000, budget.claim(), time.monotonic() + 60) == bytes(3_000_000)
    with pytest.raises(BodyTooLarge):
        body.content(2_999_999, budget.claim(), time.monotonic() + 60)


def test_memory_for_bodies_has_an_end_and_comes_back():
    budget = ByteBudget(100_000, 3 << 20)
    with budget.claim() as first, budget.claim() as tiny:
        first.add(90_000)
        tiny.add(16_000)  # small ones are free
        with pytest.raises(ServingError, match="too many bytes"), budget.claim() as second:
            second.add(20_000)
        first.keep()
    with budget.claim() as third, pytest.raises(ServingError):
        third.add(20_000)
    first.release()
    with budget.claim() as fourth, budget.claim() as large, budget.claim() as larger:
        large.add(100 << 20)  # one alone may have any size, and large ones count for themselves
        fourth.add(100_000)
        with pytest.raises(ServingError):
            larger.add(2 << 20)
        large.set(100)
        larger.add(2 << 20)


@pytest.mark.parametrize("names", ["y", "yz"])
def test_a_reply_in_rows_has_rows(names):
    outputs = {name: np.zeros((0, 2), np.float32) for name in names}
    with pytest.raises(ServingError) as caught:
        json_writer.prediction(outputs, is_rows=True)
    assert caught.value.message == "Tensor name: y has invalid batch size: 0"
    assert b"[]" in json_writer.prediction(outputs, is_rows=False)
