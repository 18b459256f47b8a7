"""benchmarks.common: tables, and the words of a flag."""

import pytest

from benchmarks.common import flags, tables
from dqn_tf.support.errors import UserError


def test_columns_are_aligned():
    lines = [("name", "value"), ("a", "1"), ("longer", "22")]
    assert tables.aligned(lines) == "name    value\na       1\nlonger  22"


def test_a_table_in_markdown():
    assert tables.markdown(("a", "b"), [("1", "2")]) == ["| a | b |", "| --- | --- |", "| 1 | 2 |"]


def test_a_spread_is_median_and_range():
    assert tables.spread([3000.0, 1.0, 20.0]).show() == "20 [1, 3,000]"
    assert tables.spread(iter([1.25, 1.5])).show(2) == "1.38 [1.25, 1.50]"


def test_words_of_a_flag_are_each_once_and_known():
    assert flags.comma_separated("systems", "a,b,a,", ("a", "b", "c")) == ["a", "b"]
    with pytest.raises(UserError, match="--systems=a,x: 'x' is none of a, b."):
        flags.comma_separated("systems", "a,x", ("a", "b"))
    with pytest.raises(UserError, match="--systems=,: name at least one of a, b."):
        flags.comma_separated("systems", ",", ("a", "b"))
