"""The document of a request: small ones as Python objects, large ones piece by piece."""

from typing import Any, Protocol

import numpy as np

from dqn_tf.serving.errors import invalid_argument
from dqn_tf.serving.http import json_examples, json_reader, json_tensors
from dqn_tf.serving.http.json_pieces import PIECE_BYTES
from dqn_tf.serving.http.large_body import LargeBody
from dqn_tf.serving.models.signature import Arrays, Signature


class Document(Protocol):
    """What a request's body says. All methods raise INVALID_ARGUMENT."""

    def signature_name(self) -> str:
        """Return the signature's name, empty for the default."""

    def inputs(self, signature: Signature, max_rows: int) -> tuple[Arrays, bool]:
        """Return the signature's inputs, and True if they came as rows."""

    def examples(self) -> np.ndarray:
        """Return the serialized examples [B] of a classify or regress request."""

    def check(self) -> None:
        """Check the syntax of what was not used."""


def read_document(body: bytes | bytearray, max_depth: int, deadline: float) -> Document:
    """Read a body. `deadline` is a time.monotonic().

    Raises INVALID_ARGUMENT, DEADLINE_EXCEEDED.
    """
    if len(body) > PIECE_BYTES:
        return LargeDocument(LargeBody(body, max_depth, deadline))
    return SmallDocument(json_reader.read_body(body, max_depth))


class SmallDocument:
    """A document that is in memory as a whole."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def signature_name(self) -> str:
        """Return the signature's name, empty for the default."""
        return _checked_name(self._members.get("signature_name", ""))

    def inputs(self, signature: Signature, max_rows: int) -> tuple[Arrays, bool]:
        """Return the signature's inputs, and True if they came as rows."""
        return json_tensors.read_inputs(self._members, signature, max_rows)

    def examples(self) -> np.ndarray:
        """Return the serialized examples [B] of a classify or regress request."""
        examples = json_examples.check_list(self._members.get("examples"))
        has_context = "context" in self._members
        context = _checked_context(self._members["context"]) if has_context else None
        return json_examples.serialize([examples], context)

    def check(self) -> None:
        """Do nothing: all of it has been read."""


class LargeDocument:
    """A document that is read piece by piece."""

    def __init__(self, body: LargeBody) -> None:
        self._body = body

    def signature_name(self) -> str:
        """Return the signature's name, empty for the default."""
        return _checked_name(self._body.value("signature_name", ""))

    def inputs(self, signature: Signature, max_rows: int) -> tuple[Arrays, bool]:
        """Return the signature's inputs, and True if they came as rows."""
        return self._body.inputs(signature, max_rows)

    def examples(self) -> np.ndarray:
        """Return the serialized examples [B] of a classify or regress request."""
        has_context = self._body.has("context")
        context = _checked_context(self._body.value("context", None)) if has_context else None
        return json_examples.serialize(self._body.examples(), context)

    def check(self) -> None:
        """Check the syntax of all members."""
        self._body.check()


def _checked_name(name: Any) -> str:
    if not isinstance(name, str):
        raise invalid_argument(
            "JSON Value: not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def _checked_context(context: Any) -> dict[str, Any]:
    if not isinstance(context, dict):
        raise invalid_argument("Example must be JSON object")
    return context
