"""Makes tokens of texts by the tokenizer.json in a version's `assets.extra`."""

import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.serving.errors import ServingError, invalid_argument

FILE = Path("assets.extra") / "tokenizer.json"
PACKAGE = "tokenizers"
PADDING = -1  # behind a text's tokens
MOST_BYTES = 1 << 17  # of a text; making tokens of one takes about a second for each 256 KiB

log = logging.getLogger("dqn_tf.serving")


class TextTokens:
    """The tokenizer of a version, by the library `tokenizers`.

    Without that library the version is served all the same, and only texts are refused.
    """

    def __init__(self, path: Path) -> None:
        """Read the file. Raises INVALID_ARGUMENT if it holds no tokenizer."""
        self._tokenizer: Any = None
        try:
            library = importlib.import_module(PACKAGE)
        except ImportError:
            log.warning("%s: %s", path, _missing())
            return
        try:
            self._tokenizer = library.Tokenizer.from_file(str(path))
        # the library raises plain exceptions
        except Exception as error:
            reason = " ".join(str(error).split())
            raise invalid_argument(f"{path} cannot be read as a tokenizer: {reason}") from error
        # `<|im_end|>` in a message is ten characters, no sign that the message ends
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def last(self, text: bytes, length: int) -> np.ndarray:
        """Return the last tokens of a text, [length] int32; bytes that are no UTF-8 become U+FFFD.

        Raises INVALID_ARGUMENT for a text that is too long, UNIMPLEMENTED without the library.
        """
        return _padded(self._numbers(text)[-length:], length)

    def first(self, text: bytes, length: int) -> np.ndarray:
        """Return the first tokens of a text, as `last` does the last ones."""
        return _padded(self._numbers(text)[:length], length)

    def _numbers(self, text: bytes) -> list[int]:
        if self._tokenizer is None:
            raise ServingError("UNIMPLEMENTED", _missing())
        if len(text) > MOST_BYTES:
            raise invalid_argument(
                f"A text has {len(text)} bytes, more than the {MOST_BYTES} that are read"
            )
        # of a list, since other threads of Python run meanwhile
        (encoded,) = self._tokenizer.encode_batch(
            [text.decode("utf-8", "replace")], add_special_tokens=False
        )
        numbers: list[int] = encoded.ids
        return numbers


def _padded(numbers: list[int], length: int) -> np.ndarray:
    tokens = np.full(length, PADDING, np.int32)
    tokens[: len(numbers)] = numbers
    return tokens


def _missing() -> str:
    return (
        f"texts for this model are made tokens by the package {PACKAGE}, which the server does not"
        " have. Type: pip install 'dqn_tf[language]'"
    )
