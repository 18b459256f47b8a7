"""benchmarks.choices: its orders, one tiny run with what comes after it, and its tables."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmark_helpers import ROOT
from benchmarks.choices import __main__ as command
from benchmarks.choices import experiments, page, records, run_one
from benchmarks.choices.experiments import BY_NAME, EXPERIMENTS
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from dqn_tf.support.errors import UserError

TINY = {"total_steps": 128, "warmup_env_steps": 64, "batch_size": 8, "hidden_units": (8,)}


def result(**values) -> dict:
    """What a run would return."""
    scores = {"score": 0.8, "score_four": 0.8, "score_five": 0.5}
    costs = {"episodes": 10, "seconds": 2.0, "cpu_seconds": 1.0, "updates": 9, "env_steps": 90}
    return scores | costs | values


def test_orders_go_seed_by_seed_and_name_what_comes_after():
    jobs = list(command.jobs(command.parse(["choices", "--seeds=3,4"])))
    assert len(jobs) == 2 * len(EXPERIMENTS)
    assert [job.runs[0].config.seed for job in jobs[:: len(EXPERIMENTS)]] == [3, 4]
    before, after = (run.config for run in jobs[0].runs)
    assert after.initial_weights and after.total_steps == 2_000 and after.width == before.width
    assert jobs[0].order == {"config": before.to_dict(), "after": after.to_dict()}
    with pytest.raises(UserError, match="--initial_weights is for train.py"):
        command.parse(["choices", "--initial_weights=x"])


def test_what_comes_after_begins_with_the_weights_before(monkeypatch):
    """Without an update the scores stay what they were."""
    monkeypatch.setattr(run_one, "EPISODES", 40)
    experiment = BY_NAME["texts"]
    still = TINY | {"total_steps": 65, "env_steps_per_update": 100.0, "updates_per_block": 1}
    monkeypatch.chdir(ROOT)
    order = {
        "config": experiments.configure(experiment, 7, TINY).to_dict(),
        "after": experiments.configure_after(experiment, 7, still).to_dict(),
    }
    results = run_one.run(order)
    for name in ("score_four", "score_five"):
        assert results["after"][name] == results["config"][name]
    assert results["config"]["score"] == results["config"]["score_four"]
    assert results["after"]["score"] == results["after"]["score_five"]


def test_the_tables_are_means_of_the_newest_rows(tmp_path):
    for seed, score in ((1, 0.1), (1, 0.7), (2, 0.9)):
        config = experiments.configure(BY_NAME["texts"], seed, {})
        row = records.row("texts", config, result(score_four=score))
        append(tmp_path / records.FILE, row)
    text = page.render(tmp_path)
    line = next(line for line in text.splitlines() if "right after the addition" in line)
    low, high = map(float, re.search(r"0\.800 \[(.*?), (.*?)\]", line).groups())
    assert low <= 0.7 + 1e-9 and high >= 0.9 - 1e-9 and "| 2 |" in line
    assert "| optimum | 0.9075 | 0.8870 |" in text and "| optimum | 2.94 |" in text


def test_the_page_is_what_the_records_say():
    text = Path(ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    shown = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert shown.strip() == page.render(RESULTS / "choices").strip()
    assert np.isfinite(
        [row.score for row in page.read(RESULTS / "choices" / page.FILE, page.Row)]
    ).all()
