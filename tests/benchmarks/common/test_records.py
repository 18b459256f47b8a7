"""benchmarks.common.records: rows in CSV files that survive a crash."""

from typing import NamedTuple

import pytest

from benchmarks.common import records
from dqn_tf.support.errors import UserError


class Row(NamedTuple):
    name: str
    count: int
    share: float | None
    date: str


def row(name: str = "first, with a comma", **values) -> Row:
    return Row(**{"name": name, "count": 3, "share": 0.25, "date": "2026-01-01"} | values)


def test_rows_survive_the_file_and_half_a_row_does_not_harm(tmp_path):
    file = tmp_path / "rows.csv"
    first = row()
    second = row("second", share=None)
    records.append(file, first)
    with file.open("a", encoding="utf-8") as stream:
        stream.write("third,1,0.5")
    assert records.read(file, Row) == [first]
    records.append(file, second)
    assert records.read(file, Row) == [first, second]
    assert records.read(tmp_path / "none.csv", Row) == []


def test_a_file_that_is_no_record_is_named(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"rows\.csv cannot be read: its columns"):
        records.read(file, Row)
    with pytest.raises(UserError, match="cannot be written"):
        records.append(tmp_path / "missing" / "rows.csv", row())


def test_the_newest_rows_are_those_of_the_last_command():
    rows = [row(date="2026-01-02"), row(date="2025-12-31"), row("other", date="2026-01-02")]
    assert records.newest(rows) == [rows[0], rows[2]] and records.newest([]) == []
