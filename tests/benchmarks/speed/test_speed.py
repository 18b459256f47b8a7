"""benchmarks.speed:

the watch, ratios by round, what memory grows by, real tiny runs, absent peers, and the rendered
page.
"""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scores import records
from benchmarks.speed import (
    block_profile,
    ours,
    plot,
    records,
    rounds,
    settings,
    stopwatch,
    summary,
    systems,
    time_to_solve,
    timed_train,
)
from benchmarks.speed import page as speed_page
from benchmarks.speed.settings import ANCHOR, SETTINGS, Setting
from dqn_tf.experience.replay import UniformReplay
from dqn_tf.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
HOST, TEXTBOOK = "dqn_tf host", "dqn_tf host, textbook loop"


def command(directory: Path, *words: str) -> subprocess.CompletedProcess:
    """`python -m benchmarks.speed`, its results and its page in a directory of the test's own."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.speed",
            f"--results_dir={directory}",
            f"--page={directory / 'page.md'}",
            *words,
        ],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=280,
        check=False,
    )


def timed(**values) -> records.Row:
    """A row as a run of a thousand steps would leave it."""
    return records.Row(
        **{
            "setting": "anchor",
            "value": None,
            "system": HOST,
            "round": 1,
            "env": "CartPole-v1",
            "num_envs": 1,
            "steps": 1000,
            "seconds": 0.5,
            "env_steps_per_second": 2000.0,
            "wall_seconds": 6.0,
            "import_rss_mib": 300.0,
            "peak_rss_mib": 400.0,
            "replay_bytes_per_transition": 44.0,
            "tenths": "",
            "work": ANCHOR.work(),
            "threads": "TensorFlow's default",
            "versions": "dqn_tf 1",
            "machine": "2 cores, x86_64, Linux",
            "date": "2026-01-01 00:00:00",
            "command": "python -m benchmarks.speed --setting=anchor",
        }
        | values
    )


def solved(**values) -> records.Solved:
    """A row as a whole run of train.py would leave it."""
    parts = dict.fromkeys((*time_to_solve.PARTS, "other"), 1.0) | {"wall": 20.0, "compile": 2.0}
    return records.Solved(
        **{
            "env": "CartPole-v1",
            "engine": "host",
            "seed": 0,
            "env_steps": 50_000,
            "score": 500.0,
            "episodes": 100,
            "threshold": 475.0,
            "threads": "",
            "versions": "dqn_tf 1",
            "machine": "2 cores, x86_64, Linux",
            "date": "2026-01-01 00:00:00",
            "command": "python -m benchmarks.speed --solve",
        }
        | {f"{name}_seconds": value for name, value in parts.items()}
        | values
    )


# What is measured


def test_the_watch_leaves_out_what_is_before_the_start(monkeypatch):
    now = iter([10.0, 10.5, 12.0, 14.0])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(now))
    watch = stopwatch.Stopwatch(start=200, steps=1000)
    # 250 lies in the tenth that 240 opened, 840 in that of 800
    for env_step in (0, 160, 240, 250, 320, 800, 840, 1200):
        watch.at(env_step)
    assert [step for step, _ in watch.marks] == [240, 320, 800, 1200]
    assert (watch.steps, watch.seconds) == (960, 4.0)
    np.testing.assert_allclose(
        watch.tenths(), [(80, 0.5 / 80 * 1e6), (560, 1.5 / 480 * 1e6), (960, 2.0 / 400 * 1e6)]
    )


def test_the_steps_of_several_environments_keep_the_ratio():
    for envs in settings.SWEEPS["envs"]:
        calls, updates = dataclasses.replace(ANCHOR, num_envs=envs).vector_steps()
        assert calls * envs == 10 * updates, "one update per ten environment steps"
    assert ANCHOR.vector_steps() == (10, 1) and SETTINGS["zoo"].vector_steps() == (256, 128)


def test_settings_are_the_same_work_for_dqn_tf():
    anchor, zoo = ours.configure(ANCHOR, 1), ours.configure(SETTINGS["zoo"], 1)
    assert (
        anchor.env_steps_per_update,
        anchor.total_steps,
        anchor.batch_size,
        anchor.hidden_units,
    ) == (10.0, 22_000, 128, (120, 84))
    assert (zoo.env_steps_per_update, zoo.total_steps, zoo.target_update_period_env_steps) == (
        2.0,
        50_000,
        10,
    )
    for sweep, values in settings.SWEEPS.items():
        for value in values:
            # raises on what no run could do
            ours.configure(settings.swept(sweep, value, None), 1)
    wide, long = settings.swept("width", 512, 100), settings.swept("length", 10, 100)
    assert (
        wide == dataclasses.replace(ANCHOR, hidden_units=(512, 512), steps=100)
        and long.steps == 1000
    )
    assert (
        dataclasses.replace(
            settings.swept("capacity", 100_000, None), replay_capacity=10_000, filled=False
        )
        == ANCHOR
    )


def test_filling_a_replay_copies_what_is_there():
    replay = UniformReplay(10, {"reward": ((), "float32")}, np.random.default_rng(0))
    replay.add({"reward": np.arange(4, dtype=np.float32)})
    ours.fill(replay)
    assert len(replay) == 10 and sorted(set(replay.columns["reward"])) == [0, 1, 2, 3]


def test_peak_memory_is_this_processs_own():
    """What a parent held is not counted: Linux hands `ru_maxrss` down."""
    block = np.ones(100 * 2**20, np.uint8)
    program = "from benchmarks.speed import stopwatch; print(stopwatch.peak_rss_mib())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert 1 < float(done.stdout) < 100 < len(block) / 2**20 + 1 < stopwatch.peak_rss_mib()


# Numbers made of rows


def test_ratios_are_of_the_same_round():
    own = [
        timed(round=1, env_steps_per_second=3000.0),
        timed(round=2, env_steps_per_second=8000.0),
        timed(round=4, env_steps_per_second=1.0),
    ]
    base = [
        timed(system=systems.BASE, round=2, env_steps_per_second=2000.0),
        timed(system=systems.BASE, round=1, env_steps_per_second=1000.0),
        timed(system=systems.BASE, round=3, env_steps_per_second=7.0),
    ]
    assert summary.ratios(own, base) == [
        3.0,
        4.0,
    ], "medians of all runs would have given 3000 / 1000"
    ours_line, base_line = summary.speed_lines(own[:2] + base[:2])
    assert (
        ours_line[:5] == (HOST, "1", "2", "5,500 [3,000, 8,000]", "3.50 [3.00, 4.00]")
        and base_line[4] == "1.00 [1.00, 1.00]"
    )
    (alone,) = summary.speed_lines(own)
    assert alone[4] == "—"


def test_growth_is_the_last_value_over_the_first_of_the_same_round():
    rows = [
        timed(setting="width", value=value, round=number, env_steps_per_second=1e6 / cost)
        for number, value, cost in ((1, 64, 10.0), (1, 1024, 40.0), (2, 64, 20.0), (2, 1024, 100.0))
    ]
    (line,) = summary.growth_lines("width", rows)
    assert line == ("width", HOST, "64", "1,024", "15.0", "70.0", "4.50 [4.00, 5.00]")
    (line,) = summary.growth_lines(
        "length", [timed(setting="length", value=10, tenths="100:50.00 500:30.00 1000:75.00")]
    )
    assert line[2:] == ("100", "1,000", "50.0", "75.0", "1.50 [1.50, 1.50]")


def test_memory_grows_by_bytes_per_transition():
    rows = [
        timed(setting="memory", value=10_000, peak_rss_mib=400.0),
        timed(setting="memory", value=1_010_000, peak_rss_mib=450.0),
    ]
    small, large = summary.memory_lines(rows)
    assert small[1:4] == ("10,000", "300", "400") and small[-1] == "—"
    assert large[-1] == "52.4", "50 MiB over a million transitions"


def test_solved_is_gymnasiums_threshold():
    rows = [
        solved(score=475.0),
        solved(seed=1, score=474.9, wall_seconds=40.0, compile_seconds=None),
        solved(seed=2, wall_seconds=30.0),
        solved(engine="graph", wall_seconds=10.0),
    ]
    assert [row.solved for row in rows] == [True, False, True, True]
    *lines, middle, graph, graph_middle = summary.solve_lines(rows)
    assert lines[1][:5] == ("host", "1", "474.9", "no", "40.0") and lines[1][7] == "—"
    assert middle[:5] == ("host", "median", "475.0", "2 of 3", "30.0") and middle[7] == "2.0"
    assert graph[:2] == ("graph", "0") and graph_middle[:5] == (
        "graph",
        "median",
        "500.0",
        "1 of 1",
        "10.0",
    )


def test_compile_is_what_the_slowest_block_took_beyond_the_median():
    clock = timed_train.Clock()
    clock.blocks = [0.25, 3.0, 0.5, 0.5, 0.75]
    assert clock.parts() == {"compile": 2.5, "train": 2.5}
    clock.timed("export", lambda: None)()
    assert (
        set(clock.parts()) == {"compile", "train", "export"} and timed_train.Clock().parts() == {}
    )


# Records and the page


def fill(directory: Path) -> None:
    """Rows of every kind, some of an older measurement."""
    for number, speed in ((1, 3000.0), (2, 5000.0)):
        for system, own in ((HOST, speed), (systems.BASE, 1000.0)):
            records.append(
                directory / "speed.csv",
                timed(system=system, round=number, env_steps_per_second=own),
            )
            for value in (64, 128):
                records.append(
                    directory / "speed_scaling.csv",
                    timed(setting="width", value=value, system=system, round=number),
                )
    records.append(
        directory / "speed_scaling.csv",
        timed(setting="length", value=10, tenths="100:50.00 1000:75.00"),
    )
    records.append(
        directory / "speed.csv", timed(date="2025-01-01 00:00:00", env_steps_per_second=123456.0)
    )
    for value in (10_000, 1_000_000):
        records.append(directory / "speed_memory.csv", timed(setting="memory", value=value))
    records.append(directory / "speed_solve.csv", solved())
    records.append(directory / "speed_solve.csv", solved(seed=1, build_seconds=None))


def test_rows_survive_the_file(tmp_path):
    fill(tmp_path)
    assert records.read(tmp_path, "speed_solve") == [
        solved(),
        solved(seed=1, build_seconds=None),
    ]
    assert records.read(tmp_path, "speed")[0] == timed(env_steps_per_second=3000.0)
    assert records.read(tmp_path, "speed_memory")[1].value == 1_000_000
    assert records.files(tmp_path) == [], "they are no records of scores"
    (tmp_path / "speed.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="its columns"):
        records.read(tmp_path, "speed")


def test_the_page_is_what_the_newest_records_give(tmp_path):
    empty = speed_page.render(tmp_path, tmp_path / "docs" / "speed.md")
    assert empty.count("Not measured yet") == len(SETTINGS) + 3
    fill(tmp_path)
    text = speed_page.render(tmp_path, tmp_path / "docs" / "speed.md")
    assert (
        f"| {HOST} | 1 | 2 | 4,000 [3,000, 5,000] | 4.00 [3.00, 5.00] |" in text
        and "123,456" not in text
    )
    assert (
        "`python -m benchmarks.speed --setting=anchor` on 2 cores, x86_64, Linux, 2026-01-01"
        " 00:00:00." in text
    )
    assert (
        "](../speed_scaling_width.png)" in text
        and "| median | 500.0 | 2 of 2 |" in text
        and "1,000,000" in text
    )
    assert text.count("Not measured yet") == len(SETTINGS) - 1, "all but the anchor"
    for sweep in ("width", "length"):
        plot.growth(
            sweep,
            records.newest(records.read(tmp_path, "speed_scaling"), setting=sweep),
            tmp_path / f"{sweep}.png",
        )
        assert (tmp_path / f"{sweep}.png").read_bytes().startswith(b"\x89PNG")


def test_page_in_the_project_is_what_its_records_give():
    file = ROOT / "docs" / "speed.md"
    assert file.read_text(encoding="utf-8") == speed_page.render(
        ROOT / "benchmarks" / "results", file
    ), "python -m benchmarks.speed --render_only"


# The command


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
    done = command(tmp_path, "--systems=sb3", f"--python=sb3={bare}")
    assert (
        done.returncode == 1
        and reason in done.stdout
        and done.stderr == "error: None of the systems asked for can run here.\n"
    )
    with pytest.raises(UserError, match="--python=sb3=/no/such/python"):
        systems.why_not(systems.BY_KEY["sb3"], "/no/such/python")


def test_help_and_mistakes_come_without_tensorflow(tmp_path):
    program = (
        "import sys; sys.argv = ['speed', '--help']\nfrom benchmarks.speed.__main__ import __main__ as speed\nfrom dqn_tf"
        " import cli\ntry:\n    cli.run(speed.main, speed.parse)\nexcept SystemExit:\n   "
        " pass\nassert not {'tensorflow', 'keras', 'scipy', 'matplotlib', 'torch'} &"
        " set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (
        done.returncode == 0 and "--setting=anchor" in done.stdout and "--python" in done.stdout
    ), done.stderr
    for words, said in (
        (["--systems=host,what"], "'what' is none of"),
        (["--sweeps="], "--sweeps"),
        (["--python=sb3"], "--python=sb3: must be"),
        (["--solve", "--memory"], "one at a time"),
        (["--solve", "--systems=sb3"], "host and graph"),
        (["--setting=other"], "--setting"),
        (["--rounds=0"], "--rounds"),
    ):
        done = command(tmp_path, *words)
        assert (
            done.returncode == 1
            and done.stderr.startswith("error: ")
            and said.strip("-") in done.stderr
        ), done.stderr
        assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_what_a_worker_imports_needs_no_package(bare):
    """A peer's environment has neither absl nor TensorFlow."""
    done = subprocess.run(
        [str(bare), "-c", "import benchmarks.speed.worker"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd="/",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_run_that_fails_is_a_sentence(bare):
    job = rounds.Job(systems.BY_KEY["sb3"], ANCHOR, "anchor")
    assert "status 1: ModuleNotFoundError" in rounds.measure(job, 1, str(bare))["error"]
    broken = rounds.Job(
        systems.BY_KEY["host"], dataclasses.replace(ANCHOR, env="NoSuch-v0"), "anchor"
    )
    assert "--env=NoSuch-v0" in rounds.measure(broken, 1, sys.executable)["error"]


def test_rounds_take_turns(monkeypatch):
    monkeypatch.setattr(rounds, "measure", lambda job, seed, python: {"python": python})
    one, other = (rounds.Job(systems.BY_KEY[key], ANCHOR, "anchor") for key in ("host", "sb3"))
    found = list(rounds.run([one, other], 2, {"sb3": "elsewhere"}))
    assert [(job.system.key, number, answer["python"]) for job, number, answer in found] == [
        ("host", 1, sys.executable),
        ("sb3", 1, "elsewhere"),
        ("host", 2, sys.executable),
        ("sb3", 2, "elsewhere"),
    ]


def test_a_tiny_measurement_end_to_end(tmp_path, bare):
    done = command(
        tmp_path, "--systems=host,textbook,sb3", "--rounds=1", "--steps=400", f"--python=sb3={bare}"
    )
    assert (
        done.returncode == 0 and done.stderr == "" and "Stable-Baselines3 is skipped" in done.stdout
    ), done.stderr
    rows = records.read(tmp_path, "speed")
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
            and "cores" in row.machine
        )
        assert row.points()[-1][0] == row.steps and all(cost > 0 for _, cost in row.points())
        assert (
            row.command
            == "python -m benchmarks.speed --setting=anchor --systems=host,textbook,sb3 --rounds=1"
            " --steps=400"
        )
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert (
        page == speed_page.render(tmp_path, tmp_path / "page.md")
        and f"{rows[0].env_steps_per_second:,.0f}" in page
    )
    again = command(tmp_path, "--render_only")
    assert (
        again.returncode == 0
        and (tmp_path / "page.md").read_text(encoding="utf-8") == page
        and TEXTBOOK in again.stdout
    ), again.stderr


@pytest.mark.parametrize("key", ["sb3", "sbx", "tf_agents"])
def test_a_peer_that_is_installed_does_the_same_work(key):
    system = systems.BY_KEY[key]
    if reason := systems.why_not(system, sys.executable):
        pytest.skip(reason)
    answer = rounds.measure(
        rounds.Job(system, Setting(warmup=200, settle=100, steps=200), "anchor"),
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
    parts = [getattr(row, f"{part}_seconds") for part in (*time_to_solve.PARTS, "other")]
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
    to_weights, to_inputs = forward, forward - 2 * 128 * 4 * 120
    assert block_profile.flops() == 2 * forward + to_weights + to_inputs


def test_the_parts_of_a_block_add_up_to_it():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.block_profile", "--rounds=1"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {
        line[:60].strip().split("  ")[0]: line for line in done.stdout.splitlines() if "%" in line
    }
    shares = {name: int(line.split()[-1].rstrip("%")) for name, line in rows.items()}
    assert shares["a block"] == 100 and "GFLOP/s" in done.stdout
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
        "Q-values of an observation, in NumPy",
        "the rest of taking steps",
    )
    assert abs(sum(shares[part] for part in inner) - shares["taking its steps"]) <= len(inner)
