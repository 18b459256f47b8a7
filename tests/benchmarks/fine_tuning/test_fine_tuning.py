"""benchmarks.fine_tuning: its jobs, one tiny run of two parts, and its table."""

import pytest

import tiny_language_model as tiny
from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.fine_tuning import __main__ as command
from benchmarks.fine_tuning import experiments, page, records, run_one
from benchmarks.fine_tuning.experiments import BY_NAME
from dqn_tf.support.errors import UserError


def row(name="lora", seed=1, **values) -> records.Row:
    """A run as the command would record it."""
    result = {
        "train": 0.9,
        "validation": 0.7,
        "test": 0.65,
        "episodes": 500,
        "weights": 252_000,
        "update_cpu_seconds": 1.5,
        "memory_mib": 2_000,
        "seconds": 200.0,
        "cpu_seconds": 150.0,
        "updates": 9,
        "env_steps": 90,
    }
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, result | values)


def test_help_and_mistakes_come_without_tensorflow():
    assert "head,lora" in help_without("fine_tuning", "tensorflow", "keras", "scipy")
    with pytest.raises(UserError, match="--fine_tune is for train.py"):
        command.parse(["fine_tuning", "--fine_tune=all"])


def test_what_learns_more_begins_with_a_run_with_head():
    options = command.parse(["fine_tuning", "--seeds=1"])
    jobs = {job.runs[0].name: job.order for job in command.FAMILY.jobs(options)}
    assert jobs["head"]["first"] is None
    for name in ("lora", "all"):
        assert jobs[name]["first"] == jobs["head"]["config"]
        assert jobs[name]["config"]["fine_tune"] == name
        assert jobs[name]["config"]["epsilon_start"] == jobs[name]["config"]["epsilon_end"]


def test_one_run_of_two_parts(monkeypatch, tmp_path):
    for package in ("safetensors", "tokenizers"):
        pytest.importorskip(package, reason="the extra `language` is not installed")
    tiny.write_hugging_face(tmp_path)
    monkeypatch.chdir(ROOT)
    small = {
        "total_steps": 64,
        "warmup_env_steps": 32,
        "batch_size": 8,
        "num_envs": 8,
        "env_steps_per_update": 8.0,
        "hidden_units": (8,),
        "width": 8,
        "language_model": str(tmp_path),
        "language_layers": 2,
        "lora_layers": 1,
        "language_prompt": "{text}",
        "message_tokens": 8,
    }
    first = experiments.configure(BY_NAME["head"], 100, small)
    result = run_one.run(experiments.configure(BY_NAME["lora"], 100, small), first, 20)
    assert all(-1.4 <= result[split] <= 1.0 for split in run_one.SPLITS)
    assert result["updates"] == 4 and result["memory_mib"] > 100
    assert 0.0 < result["update_cpu_seconds"] < 60.0


def test_the_page_says_what_it_cost(tmp_path):
    append(tmp_path / records.FILE, row("head", seed=1, test=0.7))
    append(tmp_path / records.FILE, row("head", seed=2, test=0.4, memory_mib=2_500))
    append(tmp_path / records.FILE, row("all", seed=100))
    text = page.render(tmp_path)
    assert "| 0.550 [0.400, 0.700] | 2 of 3 | 500 | 252,000 | 9 | 1.5 | 150 | 2,500 |" in text
    assert "the whole model" not in text
    assert page.render(tmp_path / "nothing") == "Not measured yet.\n"


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'fine_tuning')}\n", (
        "python -m benchmarks.fine_tuning --render_only"
    )
