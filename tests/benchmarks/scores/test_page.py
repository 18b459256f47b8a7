"""benchmarks.scores: rows of runs, their summary, and the rendered page."""

import numpy as np
import pytest

from benchmark_helpers import ROOT, score_row
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append, read
from benchmarks.scores import page, records, summary


def test_rows_of_runs_survive_the_file(tmp_path):
    file = tmp_path / "CartPole-v1.csv"
    first = score_row()
    second = score_row(seed=1, curve=[])
    append(file, first)
    with file.open("a", encoding="utf-8") as stream:
        stream.write("CartPole-v1,dqn,1,abc")
    assert read(file, records.Row) == [first]
    append(file, second)
    assert read(file, records.Row) == [first, second]
    assert first.steps_to_threshold == 5000 and second.steps_to_threshold is None
    np.testing.assert_array_equal(first.points(), [[2500, 300], [5000, 480]])
    assert records.by_env(tmp_path) == {"CartPole-v1": [first, second]}
    assert records.by_env(tmp_path / "none") == {}


def test_rows_of_other_settings_do_not_count():
    rows = [score_row(score=100.0), score_row(score=500.0)._replace(config_hash="another")]
    (dqn,) = summary.summaries("CartPole-v1", rows, {})
    assert dqn.iqm.value == 100.0 and dqn.improvement is None
    table = summary.text([dqn])
    assert "100.0 [100.0, 100.0]" in table and "5,000 (1 of 1)" in table


@pytest.mark.parametrize(("score", "word"), [(490.0, "met"), (489.9, "missed")])
def test_page_says_whether_the_aim_is_met(tmp_path, score, word):
    for seed in range(9):
        append(tmp_path / "CartPole-v1.csv", score_row(seed=seed, score=score))
    append(tmp_path / "CartPole-v1.csv", score_row()._replace(config_hash="another"))
    assert "- `dqn`: **not judged before 10 runs**" in page.render(
        tmp_path, tmp_path / "docs" / "results.md"
    )
    append(tmp_path / "CartPole-v1.csv", score_row(seed=9, score=score))
    text = page.render(tmp_path, tmp_path / "docs" / "results.md")
    assert f"- `dqn`: **{word}**, {score} [{score}, {score}] over 10 runs." in text
    assert "| Stable-Baselines3 | 500.0 ± 0.0 |" in text and "](../CartPole-v1.png)" in text
    assert "`python -m benchmarks.scores --env=CartPole-v1 --seeds=10 --variants=dqn`" in text
    assert "1 further rows" in text


def test_page_judges_an_aim_by_the_runs_of_its_length(tmp_path):
    file = tmp_path / "LunarLander-v3.csv"
    for seed in range(10):
        append(file, score_row(env="LunarLander-v3", seed=seed, score=210.0))
    text = page.render(tmp_path, tmp_path / "results.md")
    assert "at least 200 after 100,000 steps.\n\n- `dqn`: **met**, 210.0" in text
    assert "at least 270 after 300,000 steps. Not measured yet." in text
    for seed in range(10):
        longer = {"total_steps": 300_000}
        append(file, score_row(env="LunarLander-v3", seed=seed, score=260.0, overrides=longer))
    text = page.render(tmp_path, tmp_path / "results.md")
    assert "at least 270 after 300,000 steps.\n\n- `dqn`: **missed**, 260.0" in text
    assert "--env=LunarLander-v3 --seeds=10 --variants=dqn`" in text
    assert "--env=LunarLander-v3 --seeds=10 --variants=dqn --total_steps=300000`" in text
    assert "further rows" not in text


def test_page_says_how_scores_are_measured_that_are_not_of_greedy_episodes(tmp_path):
    for env in ("MinAtar/Asterix-v1", "CartPole-v1"):
        append(records.path(tmp_path, env), score_row(env=env))
    text = page.render(tmp_path, tmp_path / "results.md")
    assert "after 1,000,000 steps, scores of 1,000 episodes at epsilon 0.01:" in text
    assert "after 50,000 steps:" in text


def test_page_in_the_project_is_what_its_records_give():
    file = ROOT / "docs" / "results.md"
    assert file.read_text(encoding="utf-8") == page.render(RESULTS / "scores", file), (
        "python -m benchmarks.scores --render_only"
    )
