"""benchmarks.scores:

statistics against hand-worked and SciPy's numbers, a sweep end to end, its restart, and the
rendered page.
"""

import csv
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags
from scipy import stats

from benchmarks.scores import page, pool, records, statistics, summary, variants
from commands import run
from dqn_tf.config import flags as config_flags
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
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


def command(directory: Path, *words: str) -> subprocess.CompletedProcess:
    """`python -m benchmarks.scores`, its results and its page in a directory of the test's own."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.scores",
            f"--results_dir={directory}",
            f"--page={directory / 'page.md'}",
            *words,
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )


def recorded(**values) -> records.Row:
    """A row of a run as `dqn` on CartPole-v1 would leave it."""
    config = variants.configure(
        "CartPole-v1", values.pop("variant", "dqn"), values.pop("seed", 0), {}
    )
    result = {
        "score": 400.0,
        "score_best": 450.0,
        "curve": [(2500, 300.0), (5000, 480.0)],
        "seconds": 10.0,
        "cpu_seconds": 8.0,
        "updates": 9,
    }
    return records.row(config, "dqn", result | values, 475.0)


# Statistics


def test_probability_of_improvement_is_mann_whitneys():
    scores, others = np.array([1.0, 2.0, 2.0, 7.0]), np.array([0.0, 2.0, 3.0])
    # 1 beats 0; each 2 beats 0 and ties with 2; 7 beats all: (1 + 1.5 + 1.5 + 3) / 12.
    found = statistics.probability_of_improvement(scores, others)
    assert found.value == pytest.approx(7 / 12)
    assert found.value == pytest.approx(stats.mannwhitneyu(scores, others).statistic / 12)
    assert found.low <= found.value <= found.high


def test_interval_of_the_probability_of_improvement_is_that_of_all_resamples():
    """Two runs each: 16 resamples, all of them listed."""
    scores, others = np.array([1.0, 4.0]), np.array([0.0, 2.0])
    every = [
        np.mean(
            [
                [(x > y) + (x == y) / 2 for y in (others[c], others[d])]
                for x in (scores[a], scores[b])
            ]
        )
        for a, b, c, d in itertools.product(range(2), repeat=4)
    ]
    assert statistics.probability_of_improvement(scores, others)[1:] == pytest.approx(
        np.percentile(every, (2.5, 97.5), method="inverted_cdf")
    )
    assert statistics.probability_of_improvement(others, scores).value == pytest.approx(
        1 - np.mean(every)
    )


def test_interquartile_mean_and_its_interval():
    found = statistics.interquartile_mean(
        np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 1000.0])
    )
    assert found.value == 35.0, "the middle four of eight"
    assert found.low < 35.0 < found.high
    own = np.random.default_rng(1).choice(
        [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 1000.0], size=(20_000, 8)
    )
    assert found[1:] == pytest.approx(
        np.percentile(stats.trim_mean(own, 0.25, axis=1), (2.5, 97.5)), rel=0.06
    )
    assert statistics.interquartile_mean(np.array([3.0])) == (3.0, 3.0, 3.0)


def test_curve_is_pointwise_and_of_whole_runs():
    returns = np.array([[0.0, 5.0, 0.0], [1.0, 5.0, 10.0], [2.0, 5.0, 20.0], [3.0, 5.0, 1000.0]])
    curve = statistics.curve(returns)
    np.testing.assert_allclose(curve[:, 0], [1.5, 5.0, 15.0])
    np.testing.assert_allclose(curve[1], 5.0)
    assert (curve[:, 1] <= curve[:, 0]).all() and (curve[:, 0] <= curve[:, 2]).all()


@pytest.mark.parametrize(
    ("steps", "median"),
    [
        ([100, 300, 200], 200.0),
        ([100, None, 200], 200.0),
        ([100, None], None),
        ([None], None),
        ([100, 200, 300, None], 250.0),
    ],
)
def test_steps_to_threshold(steps, median):
    assert statistics.steps_to_threshold(steps) == median


# Variants


def test_variants_stand_on_plain_dqn():
    for env in presets.PRESETS:
        plain = variants.configure(env, "dqn", 0, {})
        assert (
            not any((plain.double, plain.dueling, plain.prioritized, plain.noisy, plain.munchausen))
            and plain.n_step == 1
        )
        assert plain.distribution == "none"
        for variant, changes in variants.VARIANTS.items():
            config = variants.configure(env, variant, 0, {})
            assert all(getattr(config, name) == value for name, value in changes.items())
        own, trained = (
            variants.configure(env, "recommended", 3, {}).to_dict(),
            presets.configure(env, {"seed": 3}).to_dict(),
        )
        assert {name for name in own if own[name] != trained[name]} <= {
            "evaluation_period_env_steps"
        }


def test_hash_tells_settings_apart_and_seeds_not():
    config = variants.configure("CartPole-v1", "dqn", 0, {})
    assert variants.config_hash(config) == variants.config_hash(
        variants.configure("CartPole-v1", "dqn", 5, {})
    )
    hashes = {
        variants.config_hash(variants.configure("CartPole-v1", variant, 0, {}))
        for variant in variants.VARIANTS
        if variant != "recommended"
    }
    assert len(hashes) == len(variants.VARIANTS) - 1
    assert variants.config_hash(config) != variants.config_hash(
        variants.configure("CartPole-v1", "dqn", 0, {"gamma": 0.5})
    )


@pytest.mark.parametrize("variant", variants.VARIANTS)
def test_settings_are_the_flags_that_repeat_a_run(variant):
    config, values = (
        variants.configure("Acrobot-v1", variant, 0, {"hidden_units": (8, 9)}),
        flags.FlagValues(),
    )
    config_flags.define_config_flags(values)
    values(["train.py", *variants.settings(config).split()])
    overrides = config_flags.config_overrides(values.flag_values_dict())
    assert presets.configure("Acrobot-v1", overrides | {"seed": 0}) == config


# Records


def test_rows_survive_the_file_and_half_a_row_does_not_harm(tmp_path):
    file, first, second = tmp_path / "CartPole-v1.csv", recorded(), recorded(seed=1, curve=[])
    records.append(file, first)
    with file.open("a", encoding="utf-8") as stream:
        stream.write("CartPole-v1,dqn,1,abc")
    assert records.read(file) == [first]
    records.append(file, second)
    assert records.read(file) == [first, second]
    assert first.steps_to_threshold == 5000 and second.steps_to_threshold is None
    np.testing.assert_array_equal(first.points(), [[2500, 300], [5000, 480]])
    assert records.read(tmp_path / "none.csv") == []
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read: its columns"):
        records.read(file)


def test_rows_of_other_settings_do_not_count():
    rows = [recorded(score=100.0), recorded(score=500.0)._replace(config_hash="another")]
    (own,) = summary.summaries("CartPole-v1", rows, {})
    assert own.iqm.value == 100.0 and own.improvement is None
    table = summary.text([own])
    assert "100.0 [100.0, 100.0]" in table and "5,000 (1 of 1)" in table


# The page


@pytest.mark.parametrize(("score", "word"), [(490.0, "met"), (489.9, "missed")])
def test_page_says_whether_the_aim_is_met(tmp_path, score, word):
    for seed in range(9):
        records.append(tmp_path / "CartPole-v1.csv", recorded(seed=seed, score=score))
    records.append(tmp_path / "CartPole-v1.csv", recorded()._replace(config_hash="another"))
    assert "- `dqn`: **not judged before 10 runs**" in page.render(
        tmp_path, tmp_path / "docs" / "results.md"
    )
    records.append(tmp_path / "CartPole-v1.csv", recorded(seed=9, score=score))
    text = page.render(tmp_path, tmp_path / "docs" / "results.md")
    assert f"- `dqn`: **{word}**, {score} [{score}, {score}] over 10 runs." in text
    assert "| Stable-Baselines3 | 500.0 ± 0.0 |" in text and "](../CartPole-v1.png)" in text
    assert "`python -m benchmarks.scores --env=CartPole-v1 --seeds=10 --variants=dqn`" in text
    assert "1 further rows" in text


def test_page_in_the_project_is_what_its_records_give():
    file = ROOT / "docs" / "results.md"
    assert file.read_text(encoding="utf-8") == page.render(ROOT / "benchmarks" / "results", file), (
        "python -m benchmarks.scores --render_only"
    )


# The command


def test_help_and_mistakes_come_without_tensorflow(tmp_path):
    program = (
        "import sys; sys.argv = ['scores', '--help']\nfrom benchmarks.scores.__main__ import __main__ as scores\nfrom dqn_tf"
        " import cli\ntry:\n    cli.run(scores.main, scores.parse)\nexcept SystemExit:\n   "
        " pass\nassert not {'tensorflow', 'keras', 'scipy', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and "--variants=dqn,recommended" in done.stdout, done.stderr
    for words, said in (
        (["--seed=3"], "--seeds=N"),
        (["--variants=dqn,what"], "'what' is none of"),
        (["--env=NoSuch-v0"], "--env=NoSuch-v0"),
        (["--variants=,"], "--variants"),
        (["--gamma=2"], "--gamma=2.0"),
    ):
        done = command(tmp_path, *words)
        assert done.returncode == 1 and done.stderr.startswith("error: ") and said in done.stderr, (
            done.stderr
        )
        assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """Two seeds of two variants."""
    directory = tmp_path_factory.mktemp("scores")
    return directory, command(
        directory, "--seeds=2", "--variants=dqn,dueling", "--processes=2", *TINY
    )


def test_a_sweep_records_every_run(swept):
    directory, done = swept
    assert done.returncode == 0 and done.stderr == "", done.stderr
    rows = records.read(directory / "CartPole-v1.csv")
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
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == ["dqn", "dueling"]
    assert "4 further rows" in (directory / "page.md").read_text(encoding="utf-8"), (
        "tiny runs are not what the page is about"
    )


def test_a_restart_skips_what_is_recorded(swept):
    directory, _ = swept
    file = directory / "CartPole-v1.csv"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    # as if killed while it wrote the last row
    file.write_text("".join(lines[:-1]) + lines[-1][:20], encoding="utf-8")
    missing = records.read(file)
    done = command(directory, "--seeds=2", "--variants=dqn,dueling", *TINY)
    assert done.returncode == 0 and "1 runs to do, 3 recorded" in done.stdout, done.stderr
    rows = records.read(file)
    assert rows[:3] == missing and len(rows) == 4
    again = dict(zip(records.Row._fields, rows[3], strict=True)) | {
        "seconds": 0,
        "cpu_seconds": 0,
        "env_steps_per_second": 0,
        "date": "",
    }
    before = dict(zip(records.Row._fields, _row(lines[-1]), strict=True)) | {
        "seconds": 0,
        "cpu_seconds": 0,
        "env_steps_per_second": 0,
        "date": "",
    }
    assert again == before, "the same run gives the same row"
    assert (
        "0 runs to do, 4 recorded"
        in command(directory, "--seeds=2", "--variants=dqn,dueling", *TINY).stdout
    )


def _row(line: str) -> records.Row:
    return records.Row(
        *(
            records._value(name, text)
            for name, text in zip(records.Row._fields, next(csv.reader([line])), strict=True)
        )
    )


def test_a_run_is_the_one_of_train_py(swept, tmp_path):
    """Same score to the last digit as the command that the row's `settings` give."""
    (row,) = [
        row
        for row in records.read(swept[0] / "CartPole-v1.csv")
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
    done = command(tmp_path, "--seeds=1", "--env=faulty:NaNReward-v0", *TINY)
    assert done.returncode == 1 and "dqn with seed 0" in done.stderr, done.stderr


def test_a_worker_that_dies_is_replaced(monkeypatch):
    monkeypatch.setattr(pool.sys, "executable", "/bin/false")
    config = DQNConfig(seed=0)
    ((_, result),) = pool.run([config], 2)
    assert result == {"error": "its process ended with status 1 before the run did"}
