"""python -m benchmarks.scores: a sweep end to end, its restart, and its failures."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark_helpers import help_without, run_benchmark
from benchmarks.common.records import parse_row, read
from benchmarks.scores import pool, records
from command_server import run
from dqn_tf.config.dqn_config import DQNConfig

TINY = [
    "--total_steps=400",
    "--warmup_env_steps=64",
    "--batch_size=16",
    "--hidden_units=8",
    "--updates_per_block=4",
    "--evaluation_episodes=2",
    "--test_episodes=3",
    "--evaluation_period_env_steps=150",
]


def test_help_and_mistakes_come_without_tensorflow(tmp_path):
    page = help_without("scores", "tensorflow", "keras", "scipy", "matplotlib")
    assert "--variants=dqn,recommended" in page
    for words, sentence in (
        (["--seed=3"], "--seeds=N"),
        (["--variants=dqn,what"], "'what' is none of"),
        (["--env=NoSuch-v0"], "--env=NoSuch-v0"),
        (["--variants=,"], "--variants"),
        (["--gamma=2"], "--gamma=2.0"),
    ):
        process = run_benchmark("scores", tmp_path, *words)
        assert (
            process.returncode == 1
            and process.stderr.startswith("error: ")
            and sentence in process.stderr
        ), process.stderr
        assert process.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """Two seeds of two variants."""
    directory = tmp_path_factory.mktemp("scores")
    return directory, run_benchmark(
        "scores", directory, "--seeds=2", "--variants=dqn,dueling", "--processes=2", *TINY
    )


def test_a_sweep_records_every_run(swept):
    directory, process = swept
    assert process.returncode == 0 and process.stderr == "", process.stderr
    rows = read(directory / "CartPole-v1.csv", records.Row)
    assert sorted((row.variant, row.seed) for row in rows) == [
        ("dqn", 0),
        ("dqn", 1),
        ("dueling", 0),
        ("dueling", 1),
    ]
    assert all(
        row.total_steps == 400
        and row.updates == 168
        and row.threshold == 475.0
        and row.env_steps_per_second > 0
        for row in rows
    )
    assert all(row.points()[:, 0].tolist() == [152, 304, 400] for row in rows)
    assert [line.split()[0] for line in process.stdout.splitlines()[-2:]] == ["dqn", "dueling"]
    assert "4 further rows" in (directory / "page.md").read_text(encoding="utf-8"), (
        "tiny runs are not what the page is about"
    )


def test_a_restart_skips_what_is_recorded(swept):
    directory, _ = swept
    file = directory / "CartPole-v1.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    # as if killed while it wrote the last row
    file.write_text("".join(lines[:-1]) + lines[-1][:20], encoding="utf-8")
    missing = read(file, records.Row)
    process = run_benchmark("scores", directory, "--seeds=2", "--variants=dqn,dueling", *TINY)
    assert process.returncode == 0 and "1 runs to do, 3 recorded" in process.stdout, process.stderr
    rows = read(file, records.Row)
    assert rows[:3] == missing and len(rows) == 4
    (cells,) = csv.reader(lines[-1:])
    before = parse_row(cells, records.Row)
    assert _timeless(rows[3]) == _timeless(before), "the same run gives the same row"
    assert (
        "0 runs to do, 4 recorded"
        in run_benchmark("scores", directory, "--seeds=2", "--variants=dqn,dueling", *TINY).stdout
    )


def _timeless(row: records.Row) -> records.Row:
    return row._replace(seconds=0, cpu_seconds=0, env_steps_per_second=0, date="")


def test_a_run_is_the_one_of_train_py(swept, tmp_path):
    """Same score to the last digit as the command that the row's `settings` give."""
    (row,) = [
        row
        for row in read(swept[0] / "CartPole-v1.csv", records.Row)
        if (row.variant, row.seed) == ("dueling", 1)
    ]
    status, text = run(
        [
            *row.settings.split(),
            "--seed=1",
            f"--run_dir={tmp_path / 'run'}",
            f"--export_dir={tmp_path / 'export'}",
        ],
        tmp_path,
    )
    assert status == 0, text
    report = json.loads((tmp_path / "run" / "evaluation.json").read_text(encoding="utf-8"))
    assert (round(report["last"]["mean"], 4), report["updates"]) == (row.score, row.updates)
    assert round(report["best"]["test"]["mean"], 4) == row.score_best


def test_a_failed_run_is_named_and_the_others_are_recorded(tmp_path):
    process = run_benchmark("scores", tmp_path, "--seeds=1", "--env=faulty:NaNReward-v0", *TINY)
    assert process.returncode == 1 and "dqn with seed 0" in process.stderr, process.stderr


def test_a_worker_that_dies_is_replaced(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    jobs = [DQNConfig(seed=0), DQNConfig(seed=1)]
    results = dict(pool.run(jobs, 1))
    sentence = "benchmarks.scores.worker ended with status 1: it wrote nothing"
    assert results == {job: {"error": sentence} for job in jobs}
