"""Reads CSV files with named columns, piece by piece, and turns their texts into arrays.

Commas separate the columns, points the decimals, and the first line names the columns. A byte-order
mark, as spreadsheets write one, is read over.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dqn_tf.experience.logged.columns import BadValue
from dqn_tf.support.errors import UserError, describe_error, describe_value

PIECE_ROWS = 8192
WORDS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

Texts = Sequence[str]
Parser = Callable[[Texts], np.ndarray]


class CsvTable:
    """A file's column names; its rows are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        """Read the first line. Raises UserError if it does not name columns."""
        self.path = path
        with self._rows() as rows:
            header = next(rows, None)
        if not header:
            raise UserError(f"{path} is empty: its first line must name the columns.")
        self.names = [name.strip() for name in header]
        if len(self.names) == 1:
            for separator, name in SEPARATORS.items():
                if separator in self.names[0]:
                    raise UserError(
                        f"{path}, line 1: its columns are separated by {name}: save it with commas,"
                        " and with points in its numbers."
                    )
        for name in self.names:
            if not name or self.names.count(name) > 1:
                what = f"two columns are called {name}" if name else "a column has no name"
                raise UserError(f"{path}, line 1: {what}.")

    def pieces(self) -> Iterator[list[Texts]]:
        """Yield the columns of some thousand rows at a time. Raises UserError on uneven rows."""
        with self._rows() as rows:
            next(rows)
            begin = 0
            piece: list[list[str]] = []
            for row in rows:
                if len(row) != len(self.names):
                    if not row and not any(rows):
                        break  # empty lines at the end
                    raise UserError(
                        f"{self.path}, {self.place(begin + len(piece))}: it has {len(row)} cells,"
                        f" and line 1 names {len(self.names)} columns."
                    )
                piece.append(row)
                if len(piece) == PIECE_ROWS:
                    yield list(zip(*piece, strict=True))
                    begin += len(piece)
                    piece = []
            if piece:
                yield list(zip(*piece, strict=True))

    @staticmethod
    def place(row: int) -> str:
        """Say where a row is, as a spreadsheet counts: the names are line 1."""
        return f"line {row + 2}"

    @contextlib.contextmanager
    def _rows(self) -> Iterator[Iterator[list[str]]]:
        """Yield the rows. Raises UserError if the file is none of text with commas."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                yield csv.reader(file, strict=True)
        except OSError as error:
            raise UserError(f"{self.path} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.path} is not UTF-8 text: save it as CSV in UTF-8, with commas."
            ) from error
        except csv.Error as error:
            raise UserError(f"{self.path} is no CSV file: {describe_error(error)}.") from error


def whole_numbers(texts: Texts) -> np.ndarray:
    """Return whole numbers, int64. Raises BadValue."""
    values = _parsed(texts, int, "is no whole number")
    try:
        return np.array(values, np.int64)
    except OverflowError:
        row = next(row for row, value in enumerate(values) if not -(2**63) <= value < 2**63)
        raise BadValue(f"{values[row]} is too large for a whole number of 64 bits", row) from None


def numbers(texts: Texts) -> np.ndarray:
    """Return numbers, float64. Raises BadValue."""
    return np.array(_parsed(texts, float, "is no number"), np.float64)


def truths(texts: Texts) -> np.ndarray:
    """Return true, false, 1 and 0, in capitals or not, as bool. Raises BadValue."""
    try:
        return np.array([WORDS[text] for text in texts], bool)
    except KeyError:
        return np.array(_parsed(texts, _truth, "must be true or false, or 1 or 0"), bool)


def _truth(text: str) -> bool:
    try:
        return WORDS[text.strip().lower()]  # TRUE, as spreadsheets write it
    except KeyError:
        raise ValueError from None


def _parsed(texts: Texts, parse: Callable[[str], Any], what: str) -> list[Any]:
    """Parse all texts. Raises BadValue of the first that cannot be parsed."""
    try:
        values = list(map(parse, texts))
    except ValueError:
        values = None
    if values is not None and "_" not in "".join(texts):  # Python reads 1_000, and nobody else
        return values
    for row, text in enumerate(texts):
        if not text.strip():
            raise BadValue("the cell is empty", row)
        with contextlib.suppress(ValueError):
            parse(text)
            if "_" not in text:
                continue
        raise BadValue(f"{describe_value(text)} {what}", row)
    raise AssertionError("a text that cannot be parsed is found again")
