"""benchmarks.tracking: what is made of the pairs, and what keeps it from beginning."""

import pytest

from benchmarks.common import records
from benchmarks.common.flags import DOCS, RESULTS
from benchmarks.tracking import __main__ as benchmark
from benchmarks.tracking import page
from benchmarks.tracking.records import FILE, KINDS, Row, cost
from dqn_tf.support.errors import UserError


def row(pair: int, is_followed: bool, seconds: float) -> Row:
    numbers = (pair, KINDS[is_followed], 1_000_000, 1_000 * seconds)
    return Row("2026-01-01", "m", "mlflow", 2, "E", 1_000, *numbers, "", *["1"] * 5)


def test_pairs_are_compared_and_half_a_pair_is_left_out(tmp_path):
    rows = [row(1, False, 1.0), row(1, True, 2.0), row(2, False, 4.0), row(2, True, 4.0)]
    rows += [row(3, False, 1.0), row(3, True, 1.25), row(4, True, 9.0)]
    for each in rows:
        records.append(tmp_path / "runs.csv", each)
    rows = records.read(tmp_path / "runs.csv", Row)
    result = cost(rows)
    assert (result.pairs, result.plain, result.followed) == (3, 1_000.0, 500.0)
    assert result.ratio == pytest.approx(0.8) and result.low <= 0.8 <= result.high
    assert "| 0.800 [0.500, 1.000] | **missed** |" in page.costs(rows)


def test_each_tracker_has_a_line_and_pairs_of_its_own():
    rows = [
        row(1, is_followed, 1.0 + is_followed)._replace(to=to)
        for to in ("wandb", "mlflow")
        for is_followed in (False, True)
    ]
    lines = page.costs(rows).splitlines()[2:4]
    assert [line.split(" | ")[0] for line in lines] == ["| mlflow", "| wandb"]
    assert all("| 0.500 [" in line for line in lines)


def test_runs_that_end_before_their_follower_begins_count_for_nothing():
    short = [row(1, is_followed, 0.1) for is_followed in (False, True)]
    assert page.costs(short) == "Nothing is recorded yet of runs that are long enough."


def test_the_published_table_is_what_the_records_say():
    text = (DOCS / "tracking.md").read_text()
    shown = text.split(page.COSTS[0])[1].split(page.COSTS[1])[0].strip()
    rows = records.read(RESULTS / "tracking" / FILE, Row)
    assert shown == page.costs(rows), "python -m benchmarks.tracking --render_only"


def test_more_cores_than_there_are_are_refused(monkeypatch):
    monkeypatch.setattr(benchmark, "require_packages", lambda to: None)
    with pytest.raises(UserError, match="--cores=4096: there are"):
        benchmark.parse(["benchmarks.tracking", "--cores=4096"])
