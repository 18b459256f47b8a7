"""benchmarks.common: tables."""

from benchmarks.common import tables


def test_columns_are_aligned():
    lines = [("name", "value"), ("a", "1"), ("longer", "22")]
    assert tables.aligned(lines) == "name    value\na       1\nlonger  22"


def test_a_table_in_markdown():
    assert tables.markdown(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_a_spread_is_median_and_range():
    assert tables.spread([3000.0, 1.0, 20.0]).show() == "20 [1, 3,000]"
    assert tables.spread(iter([1.25, 1.5])).show(2) == "1.38 [1.25, 1.50]"
