"""benchmarks.speed: real tiny runs, absent peers, and the command."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark_helpers import HOST, ROOT, help_without, run_benchmark
from benchmarks.speed import (
    block_profile,
    jobs,
    page,
    records,
    rounds,
    systems,
    time_to_solve,
)
from benchmarks.speed.settings import ANCHOR, Setting
from command_server import complete
from dqn_tf.support.errors import UserError

TEXTBOOK = "dqn_tf host, textbook loop"


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """An interpreter without any installed package."""
    file = tmp_path_factory.mktemp("bare") / "python"
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return file


def test_an_absent_peer_is_skipped_with_its_reason(bare, tmp_path):
    reason = systems.why_not(systems.BY_KEY["sb3"], str(bare))
    assert (
        "Stable-Baselines3 is skipped: stable-baselines3 and torch" in reason
        and "pip install -e '.[bench]'" in reason
    )
    assert systems.why_not(systems.BY_KEY["host"], sys.executable) == ""
    process = run_benchmark("speed", tmp_path, "--systems=sb3", f"--python=sb3={bare}")
    assert (
        process.returncode == 1
        and reason in process.stdout
        and process.stderr == "error: None of the systems asked for can run here.\n"
    )
    with pytest.raises(UserError, match="--python=sb3=/no/such/python"):
        systems.why_not(systems.BY_KEY["sb3"], "/no/such/python")


def test_help_and_mistakes_come_without_tensorflow(tmp_path):
    text = help_without("speed", "tensorflow", "keras", "scipy", "matplotlib", "torch")
    assert "--setting=anchor" in text and "--python" in text
    for words, sentence in (
        (["--systems=host,what"], "'what' is none of"),
        (["--sweeps="], "--sweeps"),
        (["--python=sb3"], "--python=sb3: must be"),
        (["--solve", "--memory"], "one at a time"),
        (["--solve", "--systems=sb3"], "host and graph"),
        (["--setting=other"], "--setting"),
        (["--rounds=0"], "--rounds"),
    ):
        process = run_benchmark("speed", tmp_path, *words)
        assert (
            process.returncode == 1
            and process.stderr.startswith("error: ")
            and sentence.strip("-") in process.stderr
        ), process.stderr
        assert process.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_what_a_worker_imports_needs_no_package(bare):
    """A peer's environment has neither absl nor TensorFlow."""
    process = subprocess.run(
        [str(bare), "-c", "import benchmarks.speed.worker"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd="/",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_a_run_that_fails_is_a_sentence(bare):
    job = jobs.Job(systems.BY_KEY["sb3"], ANCHOR, "anchor")
    assert "status 1: ModuleNotFoundError" in rounds.measure(job, 1, str(bare))["error"]
    broken = jobs.Job(
        systems.BY_KEY["host"], dataclasses.replace(ANCHOR, env="NoSuch-v0"), "anchor"
    )
    assert "--env=NoSuch-v0" in rounds.measure(broken, 1, sys.executable)["error"]


def test_rounds_take_turns(monkeypatch):
    monkeypatch.setattr(rounds, "measure", lambda job, seed, python: {"python": python})
    todo = [jobs.Job(systems.BY_KEY[key], ANCHOR, "anchor") for key in ("host", "sb3")]
    answers = list(rounds.run(todo, 2, {"sb3": "elsewhere"}))
    assert [(job.system.key, number, answer["python"]) for job, number, answer in answers] == [
        ("host", 1, sys.executable),
        ("sb3", 1, "elsewhere"),
        ("host", 2, sys.executable),
        ("sb3", 2, "elsewhere"),
    ]


def test_a_tiny_measurement_end_to_end(tmp_path, bare):
    process = run_benchmark(
        "speed",
        tmp_path,
        "--systems=host,textbook,sb3",
        "--rounds=1",
        "--steps=400",
        f"--python=sb3={bare}",
    )
    assert (
        process.returncode == 0
        and process.stderr == ""
        and "Stable-Baselines3 is skipped" in process.stdout
    ), process.stderr
    rows = records.read(tmp_path, "settings")
    assert [(row.system, row.round, row.setting) for row in rows] == [
        (HOST, 1, "anchor"),
        (TEXTBOOK, 1, "anchor"),
    ]
    for row in rows:
        assert (
            240 <= row.steps <= 400
            and row.seconds > 0
            and row.env_steps_per_second == pytest.approx(row.steps / row.seconds, rel=0.05)
        )
        assert row.wall_seconds > row.seconds and 0 < row.import_rss_mib < row.peak_rss_mib
        assert row.replay_bytes_per_transition == 44.0, (
            "two observations of 4 float32, action, reward and discount of 4 bytes"
        )
        assert (
            "tensorflow" in row.versions
            and "TensorFlow's default" in row.threads
            and "core" in row.machine
        )
        assert row.points()[-1][0] == row.steps and all(cost > 0 for _, cost in row.points())
        assert (
            row.command
            == "python -m benchmarks.speed --setting=anchor --systems=host,textbook,sb3 --rounds=1"
            " --steps=400"
        )
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert (
        text == page.render(tmp_path, tmp_path / "page.md")
        and f"{rows[0].env_steps_per_second:,.0f}" in text
    )
    again = run_benchmark("speed", tmp_path, "--render_only")
    assert (
        again.returncode == 0
        and (tmp_path / "page.md").read_text(encoding="utf-8") == text
        and TEXTBOOK in again.stdout
    ), again.stderr


@pytest.mark.parametrize("key", ["sb3", "sbx", "tf_agents", "rejax"])
def test_a_peer_that_is_installed_does_the_same_work(key):
    system = systems.BY_KEY[key]
    reason = systems.why_not(system, sys.executable)
    if reason:
        pytest.skip(reason)
    answer = rounds.measure(
        jobs.Job(system, Setting(warmup=200, settle=100, steps=200), "anchor"),
        1,
        sys.executable,
    )
    assert "error" not in answer, answer
    assert (
        answer["steps"] == 200
        and answer["replay_bytes_per_transition"] > 20
        and answer["peak_rss_mib"] > answer["import_rss_mib"]
    )


def test_a_whole_training_is_taken_apart():
    row = time_to_solve.run(
        "host",
        3,
        "2026-01-01 00:00:00",
        "",
        [
            "--total_steps=400",
            "--warmup_env_steps=64",
            "--batch_size=16",
            "--hidden_units=8",
            "--updates_per_block=4",
            "--evaluation_period_env_steps=150",
            "--evaluation_episodes=2",
            "--test_episodes=3",
        ],
    )
    parts = [getattr(row, f"{part}_seconds") for part in (*records.PARTS, "other")]
    assert all(part > 0 for part in parts), row
    assert sum(parts) == pytest.approx(row.wall_seconds, abs=0.01)
    assert (row.seed, row.env_steps, row.episodes, row.threshold) == (
        3,
        400,
        3,
        475.0,
    ) and not row.solved
    with pytest.raises(UserError, match="ended with status 1"):
        time_to_solve.run("host", 3, "", "", ["--gamma=2"])


def test_the_floor_counts_the_products_of_one_update():
    forward = 2 * 128 * (4 * 120 + 120 * 84 + 84 * 2)
    # nobody asks for the gradient of the observation
    to_weights = forward
    to_inputs = forward - 2 * 128 * 4 * 120
    assert block_profile.flops() == 2 * forward + to_weights + to_inputs


def test_the_parts_of_a_block_add_up_to_it():
    process = complete(["--rounds=1"], ROOT, "benchmarks.speed.block_profile")
    assert process.returncode == 0, process.stderr
    rows = {
        line[:60].strip().split("  ")[0]: line
        for line in process.stdout.splitlines()
        if "%" in line
    }
    shares = {name: int(line.split()[-1].rstrip("%")) for name, line in rows.items()}
    assert shares["a block"] == 100 and "GFLOP/s" in process.stdout
    parts = (
        "taking its steps",
        "transitions and replay",
        "drawing batches",
        "updates, one compiled call",
        "the new weights for acting",
        "the rest of a block",
    )
    assert abs(sum(shares[part] for part in parts) - 100) <= len(parts) and all(
        0 <= shares[part] < 100 for part in parts
    )
    inner = (
        "Gymnasium's environment",
        "our checks and the vector environment around it",
        "the best action for an observation, in NumPy",
        "the rest of taking steps",
    )
    assert abs(sum(shares[part] for part in inner) - shares["taking its steps"]) <= len(inner)
