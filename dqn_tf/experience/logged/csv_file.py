"""Reads logged episodes of a CSV file, one line for each step."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import columns, csv_table
from dqn_tf.experience.logged.building import EpisodesBuilder, Part, require_columns
from dqn_tf.experience.logged.columns import BadValue
from dqn_tf.experience.logged.csv_table import CsvTable, Parser
from dqn_tf.experience.logged.episodes import LoggedEpisodes
from dqn_tf.support.errors import UserError

SPREAD = ("observation", "action_mask")  # one column for each number: observation_0, ...


def load(source: str, path: Path, spaces: Spaces) -> LoggedEpisodes:
    """Read a file. Raises UserError."""
    table = CsvTable(path)
    places = find_columns(table, spaces)
    require_columns(str(path), places, spaces, columns.OF_STEPS)
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in places}
    steps = 0
    for texts in table.pieces():
        for name, indices in places.items():
            parse = parser(name, spaces)
            parsed = []
            for index in indices:
                try:
                    parsed.append(parse(texts[index]))
                except BadValue as error:
                    row = steps + (error.row or 0)
                    raise UserError(
                        f"{path}, {table.place(row)}, column {table.names[index]}: {error}."
                    ) from None
            shape = columns.row_shape(name, spaces)
            pieces[name].append(np.stack(parsed, axis=1).reshape(-1, *shape))
        steps += len(texts[0])
    part = Part(str(path), steps, place=table.place)
    builder = EpisodesBuilder(spaces, source, [part], places)
    builder.begin(part)
    for name, values in pieces.items():
        for piece in values:
            builder.put(name, piece)
    builder.end()
    return builder.finish()


def find_columns(table: CsvTable, spaces: Spaces) -> dict[str, list[int]]:
    """Return the places in a line of each column of the schema, several where it has a shape.

    What is no column of the schema stands under its own name. Raises UserError if only some of the
    numbers of a column are there.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(table.names):
        stem, _, number = name.rpartition("_")
        if stem not in SPREAD or not number.isdecimal():
            places[name] = [place]
            continue
        places.setdefault(stem, [])
    for stem in SPREAD:
        if stem not in places:
            continue
        count = int(np.prod(columns.row_shape(stem, spaces)))
        wanted = [f"{stem}_{number}" for number in range(count)]
        spread = [name for name in table.names if name.startswith(f"{stem}_")]
        if not spread and count == 1:
            continue
        for name in wanted:
            if name not in table.names:
                raise UserError(
                    f"{table.path} has no column {name}: each line needs {wanted[0]} to"
                    f" {wanted[-1]}, one number each, in row-major order."
                )
        for name in table.names:
            if name not in wanted and (name == stem or name in spread):
                raise UserError(
                    f"{table.path}, line 1: column {name} is none of {wanted[0]} to {wanted[-1]}."
                )
        places[stem] = [table.names.index(name) for name in wanted]
    return places


def parser(name: str, spaces: Spaces) -> Parser:
    """Return what turns the texts of a column into numbers."""
    if name in ("terminated", "truncated", "action_mask"):
        return csv_table.truths
    if name in ("reward", "propensity"):
        return csv_table.numbers
    if name == "observation":
        kind = np.dtype(spaces.observation_dtype).kind
        return {"f": csv_table.numbers, "b": csv_table.truths}.get(kind, csv_table.whole_numbers)
    return csv_table.whole_numbers
