"""JSON as TensorFlow Serving's parser takes it: lenient where it is lenient, strict where it is
strict.

One object, and whatever follows it is not looked at; a byte order mark is skipped; of a key given
twice the first value counts; NaN, Infinity and Inf are numbers; a number beyond a double is an
error; bytes that are no UTF-8 pass through strings unchanged (as surrogates). Nesting costs no
stack. The standard library's reader does most bodies; the tokens below are for those in which the
two could differ.
"""

import json
import re
from typing import Any

import numpy as np

from dqn_tf.serving.errors import invalid

# What the standard library would take otherwise: numbers that may overflow, escapes that may be
# half a pair.
DIFFERS = re.compile(rb"[eE]\+?0*[0-9]{3}|[0-9]{300}|\\u[dD]")
NOT_NESTING = bytes(set(range(256)) - set(b'[]{}"'))
SPACE = re.compile(r"[ \t\n\r]*")
TOKEN = re.compile(
    r'[ \t\n\r]*(?:([\[\]{}:,])|("(?:[^"\\\x00-\x1f]|\\.)*")|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)'
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


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else dict(reversed(pairs))


DECODER = json.JSONDecoder(object_pairs_hook=_first_wins)


def read(body: bytes, deepest: int) -> dict[str, Any]:
    """The object that `body` begins with.

    Raises INVALID_ARGUMENT for anything else, and for nesting beyond `deepest`.
    """
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    start = SPACE.match(text).end()
    # Not left to the standard library's reader: how deep it goes differs between versions of
    # Python.
    nesting = _nesting(body) if body.count(b"[") + body.count(b"{") > deepest else 0
    if nesting is not None and nesting > deepest:
        raise invalid(f"JSON Parse error: nested deeper than {deepest}")
    try:
        if nesting is None or DIFFERS.search(body):
            raise ValueError
        found = DECODER.raw_decode(text, start)[0]
    except (ValueError, RecursionError):
        found = _read(text, start, deepest)
    if not isinstance(found, dict):
        raise invalid("JSON Value: the body is not an object")
    return found


def _nesting(body: bytes) -> int | None:
    """How deep the first value is nested, in a few passes over the bytes; None where escapes in
    strings would make that uncertain.
    """
    if b"\\" in body:
        return None
    data = np.frombuffer(body.translate(None, NOT_NESTING), np.uint8)
    outside = np.cumsum(data == ord('"')) % 2 == 0
    either = data | 0x20  # of [ and { it makes {, of ] and } it makes }, and of nothing else
    steps = (either == ord("{")).astype(np.int8) - (either == ord("}")).astype(np.int8)
    depth = np.cumsum(np.where(outside, steps, 0), dtype=np.int64)
    ends = np.flatnonzero((depth == 0) & outside & (steps < 0))
    return int(depth[: ends[0]].max(initial=0) if len(ends) else depth.max(initial=0))


def _read(text: str, start: int, deepest: int) -> Any:
    """Token by token, with a stack of its own."""
    stack: list[dict | list] = []
    keys: list[str | None] = []
    here, key, expects = start, None, "value"
    while True:
        if (match := TOKEN.match(text, here)) is None:
            raise _error(text, here, "Invalid value")
        sign, string, number, word = match.groups()
        at, here = here, match.end()
        if expects == "key" or (expects == "key or end" and sign != "}"):
            if string is None:
                raise _error(text, at, "Missing a name for an object member")
            key, expects = _string(text, at, string), "colon"
            continue
        if expects == "colon":
            if sign != ":":
                raise _error(text, at, "Missing a colon after a name of an object member")
            expects = "value"
            continue
        if expects == "more" and sign == ",":
            expects = "key" if isinstance(stack[-1], dict) else "value"
            continue
        if (
            sign in ("}", "]")
            and expects in ("more", "key or end", "value or end")
            and isinstance(stack[-1], dict) == (sign == "}")
        ):
            value = stack.pop()
            key = keys.pop()
        elif expects == "more":
            raise _error(text, at, "Missing a comma or a closing bracket")
        elif sign in ("{", "["):
            if len(stack) >= deepest:
                raise invalid(f"JSON Parse error: nested deeper than {deepest}")
            stack.append({} if sign == "{" else [])
            keys.append(key)
            expects = "key or end" if sign == "{" else "value or end"
            continue
        elif sign is not None:
            raise _error(text, at, "Invalid value")
        elif string is not None:
            value = _string(text, at, string)
        elif number is not None:
            value = _number(text, at, number)
        else:
            value = CONSTANTS[word]
        if not stack:
            return value
        if isinstance(stack[-1], dict):
            stack[-1].setdefault(key, value)
        else:
            stack[-1].append(value)
        expects = "more"


def _string(text: str, at: int, token: str) -> str:
    try:
        found = json.loads(token)
    except ValueError:
        raise _error(text, at, "Invalid escape character in string") from None
    if "\\u" in token and any(
        "\ud800" <= letter <= "\udfff"
        for letter in json.loads(re.sub("[\udc80-\udcff]", "", token))
    ):
        raise _error(text, at, "The surrogate pair in string is invalid")
    return found


def _number(text: str, at: int, token: str) -> int | float:
    if token.lstrip("-").isdecimal() and len(token) < 21:
        return int(token)
    found = float(token)
    if found in (float("inf"), float("-inf")):
        raise _error(text, at, "Number too big to be stored in double")
    return int(token) if token.lstrip("-").isdecimal() else found


def _error(text: str, at: int, what: str):
    return invalid(
        f"JSON Parse error: {what} at offset:"
        f" {len(text[: SPACE.match(text, at).end()].encode('utf-8', 'surrogateescape'))}"
    )
