"""dqn_tf.run_files.metrics: columns, what a resumed run keeps, and torn lines."""

import csv

import pytest

from dqn_tf.run_files import metrics
from dqn_tf.run_files.metrics import LOGGED_METRICS, MetricsWriter


def write_rows(directory, env_step: int, *rows: tuple[int, dict], extra_names=()) -> None:
    """Opens metrics.csv of a run that has reached `env_step` and appends rows."""
    writer = MetricsWriter(
        directory / "metrics.csv", directory / "tensorboard", env_step, extra_names
    )
    for step, values in rows:
        writer.write(step, **values)
    writer.close()


def header(directory) -> list[str]:
    with (directory / "metrics.csv").open(encoding="utf-8") as file:
        return next(csv.reader(file))


def test_a_row_holds_the_metrics_of_one_event(tmp_path):
    write_rows(tmp_path, 0, (10, {"episode": 1, "episode_return": 2.5}), (20, {"loss": 1 / 3}))
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS]
    first, second = metrics.read(tmp_path / "metrics.csv")
    assert {name: text for name, text in first.items() if text} == {
        "env_step": "10",
        "episode": "1",
        "episode_return": "2.5",
    }
    assert {name: text for name, text in second.items() if text} == {
        "env_step": "20",
        "loss": "0.33333333",
    }


def test_a_resumed_run_drops_the_rows_after_its_checkpoint(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}), (20, {"loss": 2.0}), (30, {"loss": 3.0}))
    write_rows(tmp_path, 20, (25, {"loss": 4.0}))
    rows = metrics.read(tmp_path / "metrics.csv")
    assert [(row["env_step"], row["loss"]) for row in rows] == [
        ("10", "1"),
        ("20", "2"),
        ("25", "4"),
    ]


def test_a_new_run_drops_every_row(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}))
    write_rows(tmp_path, 0)
    assert metrics.read(tmp_path / "metrics.csv") == []


def test_extra_columns_follow_and_a_resumed_run_keeps_them(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0, "cql": 0.5}), extra_names=["cql"])
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS, "cql"]
    write_rows(tmp_path, 10, (20, {"imitation": 7.0}), extra_names=["imitation", "cql"])
    assert header(tmp_path) == ["env_step", *LOGGED_METRICS, "cql", "imitation"]
    rows = metrics.read(tmp_path / "metrics.csv")
    assert [(row["cql"], row["imitation"]) for row in rows] == [("0.5", ""), ("", "7")]


def test_a_name_that_is_no_column_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="cql"):
        write_rows(tmp_path, 0, (10, {"cql": 0.5}))


def test_a_torn_last_line_is_left_out(tmp_path):
    write_rows(tmp_path, 0, (10, {"loss": 1.0}), (20, {"loss": 2.0}))
    path = tmp_path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-3])
    assert [row["env_step"] for row in metrics.read(path)] == ["10"]
    write_rows(tmp_path, 20)
    assert [row["env_step"] for row in metrics.read(path)] == ["10"]
