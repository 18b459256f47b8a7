"""Reads JSON as TensorFlow Serving's parser does: lenient where it is lenient, strict elsewhere.

Of a key given twice the first value counts; NaN, Infinity and Inf are numbers; a number beyond a
double is an error; bytes that are no UTF-8 pass through strings unchanged (as surrogates). Nesting
costs no stack.

orjson reads most texts. The token reader below reads what orjson refuses, and what the two could
read differently. Its time and memory are linear, yet many times those of orjson: large bodies come
in pieces (large_body.py).
"""

import itertools
import json
import re
from typing import Any

import orjson

from dqn_tf.serving.errors import ServingError, check_deadline, invalid_argument

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TOKENS_BETWEEN_CHECKS = 1 << 16  # of the deadline
SPACE = re.compile(r"[ \t\n\r]*")
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')  # characters that stand for themselves in a string
SURROGATE = re.compile("[\ud800-\udfff]")
FOREIGN_BYTE = re.compile("[\udc80-\udcff]")  # what a byte that is no UTF-8 is decoded to
TOKEN = re.compile(
    r'[ \t\n\r]*(?:([\[\]{}:,"])'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
    r"|(true|false|null|-?NaN|-?Inf(?:inity)?))"
)
CONSTANTS = {
    "true": True,
    "false": False,
    "null": None,
    "NaN": float("nan"),
    "-NaN": float("nan"),
    "Inf": float("inf"),
    "Infinity": float("inf"),
    "-Inf": float("-inf"),
    "-Infinity": float("-inf"),
}


def read_plain_body(body: bytes | bytearray, max_depth: int) -> dict[str, Any] | None:
    """Return the object that `body` is; None unless orjson alone can tell."""
    try:
        document = _read_fast(body, max_depth)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def read_body(body: bytes | bytearray, max_depth: int) -> dict[str, Any]:
    """Return the object that `body` begins with; what follows it is ignored.

    Raises INVALID_ARGUMENT for anything else, and for nesting beyond `max_depth`.
    """
    text = body.removeprefix(BYTE_ORDER_MARK)
    document = read_plain_body(text, max_depth)
    if document is None:
        document, _ = TokenReader(text, max_depth).read()
    if not isinstance(document, dict):
        raise invalid_argument("JSON Value: the body is not an object")
    return document


def read_value(text: bytes | bytearray, max_depth: int) -> Any:
    """Return the one value that `text` is. Raises INVALID_ARGUMENT."""
    try:
        return _read_fast(text, max_depth)
    except (ValueError, RecursionError):
        value, rest = TokenReader(text, max_depth).read()
        if rest.strip(" \t\n\r"):
            raise invalid_argument("JSON Parse error: Missing a comma") from None
        return value


def check_value(text: bytes | bytearray, max_depth: int, deadline: float) -> None:
    """Raise INVALID_ARGUMENT unless `text` is one value; build nothing of it."""
    _, rest = TokenReader(text, max_depth, keeps=False, deadline=deadline).read()
    if rest.strip(" \t\n\r"):
        raise invalid_argument("JSON Parse error: Missing a comma")


def _read_fast(text: bytes | bytearray, max_depth: int) -> Any:
    """Read with orjson. Raises ValueError where the result could differ from TensorFlow Serving's.

    orjson keeps the last value of a key given twice. There is none as long as the text has no more
    colons than the value has members.
    """
    if len(text) > max_depth and text.count(b"[") + text.count(b"{") > max_depth:
        raise ValueError("it may be too deep")
    value = orjson.loads(text)
    if text.count(b":") != _count_members(value):
        raise ValueError("a key may come twice")
    return value


def _count_members(value: Any) -> int:
    """Count the members of objects; those in deeper lists are left out."""
    if isinstance(value, dict):
        return len(value) + sum(_count_members(member) for member in value.values())
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(_count_members(member) for member in value)
    return 0


class TokenReader:
    """Reads one value token by token, with a stack of its own.

    Without `keeps` it only checks the syntax. Raises DEADLINE_EXCEEDED after `deadline`, a
    time.monotonic().
    """

    def __init__(
        self,
        text: bytes | bytearray,
        max_depth: int,
        keeps: bool = True,
        deadline: float | None = None,
    ) -> None:
        self._text = text.decode("utf-8", "surrogateescape")
        self._max_depth = max_depth
        self._keeps = keeps
        self._deadline = deadline
        self._position = 0

    def read(self) -> tuple[Any, str]:
        """Return the value, and the text after it. Raises INVALID_ARGUMENT."""
        stack: list[dict | list] = []
        keys: list[str | None] = []  # under which each container goes into the one around it
        key: str | None = None
        expects = "value"
        for count in itertools.count(1):
            if count % TOKENS_BETWEEN_CHECKS == 0:
                check_deadline(self._deadline)
            sign, number, word = self._next_token()
            if expects == "key" or (expects == "key or end" and sign != "}"):
                if sign != '"':
                    raise self._error("Missing a name for an object member")
                key = self._read_string()
                expects = "colon"
                continue
            if expects == "colon":
                if sign != ":":
                    raise self._error("Missing a colon after a name of an object member")
                expects = "value"
                continue
            if expects == "more" and sign == ",":
                expects = "key" if isinstance(stack[-1], dict) else "value"
                continue
            value: Any
            if _closes(sign, expects, stack):
                value = stack.pop()
                key = keys.pop()
            elif expects == "more":
                raise self._error("Missing a comma or a closing bracket")
            elif sign in ("{", "["):
                if len(stack) >= self._max_depth:
                    raise invalid_argument(
                        f"JSON Parse error: nested deeper than {self._max_depth}"
                    )
                stack.append(self._new_container(sign))
                keys.append(key)
                expects = "key or end" if sign == "{" else "value or end"
                continue
            elif sign == '"':
                value = self._read_string()
            elif sign is not None:
                raise self._error("Invalid value")
            else:
                value = CONSTANTS[word] if number is None else self._number(number)
            if not stack:
                return value, self._text[self._position :]
            if self._keeps:
                _put(stack[-1], key, value)
            expects = "more"
        raise AssertionError  # the loop has no end of its own

    def _next_token(self) -> tuple[str | None, str | None, str]:
        match = TOKEN.match(self._text, self._position)
        if match is None:
            raise self._error("Invalid value")
        self._position = match.end()
        sign, number, word = match.groups()
        return sign, number, word

    def _new_container(self, sign: str) -> dict | list:
        if self._keeps:
            return {} if sign == "{" else []
        return NO_MEMBERS if sign == "{" else NO_ITEMS

    def _read_string(self) -> str:
        """Read the rest of a string, after its opening quote."""
        start = self._position
        has_escapes = False
        while True:
            match = PLAIN.match(self._text, self._position)
            assert match is not None  # it may be empty
            self._position = match.end()
            letter = self._text[self._position : self._position + 1]
            if letter == '"':
                break
            if letter != "\\":
                raise self._error("Missing a closing quotation mark in string")
            has_escapes = True
            self._position += 2
        content = self._text[start : self._position]
        self._position += 1
        return self._unescape(content) if has_escapes else content

    def _unescape(self, content: str) -> str:
        try:
            value: str = json.loads(f'"{content}"')
        except ValueError:
            raise self._error("Invalid escape character in string") from None
        if "\\u" in content:
            escaped = json.loads('"' + FOREIGN_BYTE.sub("?", content) + '"')
            if SURROGATE.search(escaped):
                raise self._error("The surrogate pair in string is invalid")
        return value

    def _number(self, token: str) -> int | float:
        is_integer = token.lstrip("-").isdecimal()
        if is_integer and len(token) < 21:
            return int(token)
        value = float(token)
        if value in (float("inf"), float("-inf")):
            raise self._error("Number too big to be stored in double")
        return int(token) if is_integer else value

    def _error(self, problem: str) -> ServingError:
        match = SPACE.match(self._text, self._position)
        position = match.end() if match else self._position
        offset = len(self._text[:position].encode("utf-8", "surrogateescape"))
        return invalid_argument(f"JSON Parse error: {problem} at offset: {offset}")


# stand for all containers where nothing is kept
NO_MEMBERS: dict = {}
NO_ITEMS: list = []


def _closes(sign: str | None, expects: str, stack: list[dict | list]) -> bool:
    """Return True if the sign closes the innermost container."""
    if sign not in ("}", "]") or expects not in ("more", "key or end", "value or end"):
        return False
    return isinstance(stack[-1], dict) == (sign == "}")


def _put(container: dict | list, key: str | None, value: Any) -> None:
    if isinstance(container, list):
        container.append(value)
    elif key is not None:
        container.setdefault(key, value)
