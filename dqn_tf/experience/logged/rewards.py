"""Reads the file that says what served requests led to: `id → reward, end`.

The lines of an episode stand in the order of time. Without a column `episode`, an episode goes on
until a line with an end; with one, its lines may stand between those of others.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from dqn_tf.experience.logged import csv_table
from dqn_tf.experience.logged.columns import BadValue
from dqn_tf.experience.logged.csv_table import CsvTable, Texts
from dqn_tf.support.errors import UserError, describe_value

REQUIRED = ("id", "reward", "end")
OPTIONAL = ("episode", "action", "propensity", "step")
ENDS = ("", "terminated", "truncated")
PARSERS = {
    "reward": csv_table.numbers,
    "action": csv_table.whole_numbers,
    "propensity": csv_table.numbers,
    "step": csv_table.whole_numbers,
}


@dataclasses.dataclass(frozen=True)
class Rewards:
    """The lines of a file, those of an episode together.

    Attributes:
      path: the file.
      ids: of the requests, in the order of the steps.
      lines: [M] int64, the row of the file that each step comes from.
      columns: those of the schema of episodes that the file gives, [M] each.
    """

    path: Path
    ids: list[str]
    lines: np.ndarray
    columns: dict[str, np.ndarray]

    def place(self, row: int) -> str:
        """Say where a step stands in the file, and its id."""
        return f"{CsvTable.place(int(self.lines[row]))} (id {self.ids[row]})"


def read_rewards(path: Path) -> Rewards:
    """Read a file. Raises UserError."""
    table = CsvTable(path)
    for name in REQUIRED:
        if name not in table.names:
            raise UserError(f"{path} has no column {name}: it needs id, reward and end.")
    for name in table.names:
        if name not in REQUIRED + OPTIONAL:
            known = ", ".join(REQUIRED + OPTIONAL)
            raise UserError(f"{path}: column {name} is none of {known}; leave it out.")
    texts: dict[str, list[str]] = {name: [] for name in table.names}
    for piece in table.pieces():
        for name, cells in zip(table.names, piece, strict=True):
            texts[name] += [cell.strip() for cell in cells]
    if not texts["id"]:
        raise UserError(f"{path} holds no rewards.")
    arrays = {name: _parsed(table, name, texts[name]) for name in PARSERS if name in texts}
    ends = _ends(table, texts["end"])
    episode = _episodes(table, texts, ends)
    _require_once(table, texts["id"])
    lines = np.argsort(episode, kind="stable")
    columns = {name: values[lines] for name, values in arrays.items()}
    columns["episode"] = episode[lines]
    columns["terminated"] = ends[lines] == ENDS.index("terminated")
    columns["truncated"] = ends[lines] == ENDS.index("truncated")
    return Rewards(path, [texts["id"][line] for line in lines], lines, columns)


def _parsed(table: CsvTable, name: str, texts: Texts) -> np.ndarray:
    try:
        return PARSERS[name](texts)
    except BadValue as error:
        raise _wrong(table, error.row or 0, name, str(error)) from None


def _ends(table: CsvTable, texts: Texts) -> np.ndarray:
    """Return the place of each end in ENDS, [M]."""
    numbers = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        if text.lower() not in ENDS:
            what = f"{describe_value(text)} must be terminated, truncated, or empty"
            raise _wrong(table, row, "end", what)
        numbers[row] = ENDS.index(text.lower())
    return numbers


def _episodes(table: CsvTable, texts: dict[str, list[str]], ends: np.ndarray) -> np.ndarray:
    """Return the number of each line's episode, counted in the order in which they begin, [M]."""
    if "episode" not in texts:
        return np.cumsum(ends > 0) - (ends > 0)
    numbers: dict[str, int] = {}
    for row, name in enumerate(texts["episode"]):
        if not name:
            raise _wrong(table, row, "episode", "the cell is empty")
        numbers.setdefault(name, len(numbers))
    return np.array([numbers[name] for name in texts["episode"]])


def _require_once(table: CsvTable, ids: Texts) -> None:
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if not name:
            raise _wrong(table, row, "id", "the cell is empty")
        if first.setdefault(name, row) != row:
            what = f"{name} has a reward in {table.place(first[name])} already"
            raise _wrong(table, row, "id", what)


def _wrong(table: CsvTable, row: int, name: str, what: str) -> UserError:
    return UserError(f"{table.path}, {table.place(row)}, column {name}: {what}.")
