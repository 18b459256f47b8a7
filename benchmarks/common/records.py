"""Records: CSV files with one row per finished measurement, each row a NamedTuple.

A row is on the disk when `append` returns, so a measurement that is stopped keeps all its rows.
"""

import csv
import fcntl
import io
import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import dqn_tf
from dqn_tf.support.errors import UserError

Row = TypeVar("Row", bound=NamedTuple)


def append(file: Path, row: NamedTuple) -> None:
    """Write a row through to the disk; remove half a row that a crash left before it.

    Raises UserError if it cannot be written.
    """
    try:
        with file.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            content = stream.read()
            stream.truncate(content.rfind(b"\n") + 1)
            header = [] if b"\n" in content else [row._fields]
            stream.write(_csv([*header, ["" if value is None else value for value in row]]))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def read(file: Path, row_type: type[Row]) -> list[Row]:
    """Read all whole rows, in the order in which they were written; none if there is no file.

    Raises UserError on a file whose columns are not those of `row_type`.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole_lines = [line for line in lines if line.endswith("\n")]
        columns = list(row_type._fields)
        header, *rows = csv.reader(whole_lines) if whole_lines else [columns]
        if header != columns:
            raise ValueError("its columns are not those of this version")
        return [parse_row(cells, row_type) for cells in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}.") from error


def parse_row(cells: Sequence[str], row_type: type[Row]) -> Row:
    """Convert the cells of one line to the types of the row's columns."""
    pairs = zip(row_type._fields, cells, strict=True)
    return row_type(*(_value(cell, row_type.__annotations__[name]) for name, cell in pairs))


def provenance() -> dict[str, str]:
    """Return what a run was made with, by column: versions of the packages and of Python."""
    packages = ("tensorflow", "gymnasium", "numpy")
    versions = {package: metadata.version(package) for package in packages}
    return {"dqn_tf": dqn_tf.__version__} | versions | {"python": platform.python_version()}


def newest(rows: Sequence[Any]) -> list[Any]:
    """Select the rows of the command that began last, by their column `date`."""
    last = max((row.date for row in rows), default="")
    return [row for row in rows if row.date == last]


def _value(cell: str, annotation: Any) -> Any:
    """Convert one cell; an empty cell of an optional column is None."""
    convert, *optional = get_args(annotation) or (annotation,)
    return None if optional and not cell else convert(cell)


def _csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
