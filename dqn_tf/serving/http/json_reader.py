"""Reads JSON as TensorFlow Serving's parser does: lenient where it is lenient, strict elsewhere.

The body is one object, and whatever follows it is ignored. A byte order mark is skipped; of a key
given twice the first value counts; NaN, Infinity and Inf are numbers; a number beyond a double is
an error; bytes that are no UTF-8 pass through strings unchanged (as surrogates). Nesting costs no
stack. The standard library reads most bodies; the token reader reads those in which the two could
differ.
"""

import json
import re
from typing import Any

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid_argument

# What the standard library would accept: numbers that may overflow, escapes that may be half a
# surrogate pair.
MAY_DIFFER = re.compile(rb"[eE]\+?0*[0-9]{3}|[0-9]{300}|\\u[dD]")
NOT_NESTING = bytes(set(range(256)) - set(b'[]{}"'))
SPACE = re.compile(r"[ \t\n\r]*")
TOKEN = re.compile(
    r'[ \t\n\r]*(?:([\[\]{}:,])|("(?:[^"\\\x00-\x1f]|\\.)*")'
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


def _keep_first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else dict(reversed(pairs))


DECODER = json.JSONDecoder(object_pairs_hook=_keep_first)


def read(body: bytes, max_depth: int) -> dict[str, Any]:
    """Return the object that `body` begins with.

    Raises INVALID_ARGUMENT for anything else, and for nesting beyond `max_depth`.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    start = _skip_space(text, 0)
    # Not left to the standard library: how deep it goes differs between versions of Python.
    may_be_deep = body.count(b"[") + body.count(b"{") > max_depth
    depth = _nesting_depth(body) if may_be_deep else 0
    if depth is not None and depth > max_depth:
        raise _too_deep(max_depth)
    try:
        if depth is None or MAY_DIFFER.search(body):
            raise ValueError
        document = DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        document = _read_tokens(text, start, max_depth)
    if not isinstance(document, dict):
        raise invalid_argument("JSON Value: the body is not an object")
    return document


def _nesting_depth(body: bytes) -> int | None:
    """Return how deep the first value is nested, in a few passes over the bytes.

    Returns None where escapes in strings would make that uncertain.
    """
    if b"\\" in body:
        return None
    data = np.frombuffer(body.translate(None, NOT_NESTING), np.uint8)
    is_outside = np.cumsum(data == ord('"')) % 2 == 0
    bracket = data | 0x20  # makes { of [ and }, of ] only
    steps = (bracket == ord("{")).astype(np.int8) - (bracket == ord("}")).astype(np.int8)
    depth = np.cumsum(np.where(is_outside, steps, 0), dtype=np.int64)
    ends = np.flatnonzero((depth == 0) & is_outside & (steps < 0))
    first_value = depth[: ends[0]] if len(ends) else depth
    return int(first_value.max(initial=0))


def _read_tokens(text: str, start: int, max_depth: int) -> Any:
    """Read one value token by token, with a stack of its own."""
    stack: list[dict | list] = []
    keys: list[str | None] = []
    position = start
    key: str | None = None
    expects = "value"
    while True:
        match = TOKEN.match(text, position)
        if match is None:
            raise _error(text, position, "Invalid value")
        sign, string, number, word = match.groups()
        at, position = position, match.end()
        if expects == "key" or (expects == "key or end" and sign != "}"):
            if string is None:
                raise _error(text, at, "Missing a name for an object member")
            key = _string(text, at, string)
            expects = "colon"
            continue
        if expects == "colon":
            if sign != ":":
                raise _error(text, at, "Missing a colon after a name of an object member")
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
            raise _error(text, at, "Missing a comma or a closing bracket")
        elif sign in ("{", "["):
            if len(stack) >= max_depth:
                raise _too_deep(max_depth)
            stack.append({} if sign == "{" else [])
            keys.append(key)
            expects = "key or end" if sign == "{" else "value or end"
            continue
        elif sign is not None:
            raise _error(text, at, "Invalid value")
        else:
            value = _scalar(text, at, string, number, word)
        if not stack:
            return value
        container = stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is not None:
            container.setdefault(key, value)
        expects = "more"


def _closes(sign: str | None, expects: str, stack: list[dict | list]) -> bool:
    """Return True if the sign closes the innermost container."""
    if sign not in ("}", "]") or expects not in ("more", "key or end", "value or end"):
        return False
    return isinstance(stack[-1], dict) == (sign == "}")


def _scalar(text: str, at: int, string: str | None, number: str | None, word: str) -> Any:
    if string is not None:
        return _string(text, at, string)
    if number is not None:
        return _number(text, at, number)
    return CONSTANTS[word]


def _string(text: str, at: int, token: str) -> str:
    try:
        value: str = json.loads(token)
    except ValueError:
        raise _error(text, at, "Invalid escape character in string") from None
    if "\\u" in token:
        escaped = json.loads(re.sub("[\udc80-\udcff]", "", token))
        if any("\ud800" <= letter <= "\udfff" for letter in escaped):
            raise _error(text, at, "The surrogate pair in string is invalid")
    return value


def _number(text: str, at: int, token: str) -> int | float:
    is_integer = token.lstrip("-").isdecimal()
    if is_integer and len(token) < 21:
        return int(token)
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise _error(text, at, "Number too big to be stored in double")
    return int(token) if is_integer else value


def _skip_space(text: str, position: int) -> int:
    match = SPACE.match(text, position)
    return match.end() if match else position


def _error(text: str, at: int, problem: str) -> ServingError:
    offset = len(text[: _skip_space(text, at)].encode("utf-8", "surrogateescape"))
    return invalid_argument(f"JSON Parse error: {problem} at offset: {offset}")


def _too_deep(max_depth: int) -> ServingError:
    return invalid_argument(f"JSON Parse error: nested deeper than {max_depth}")
