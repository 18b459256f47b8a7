"""benchmarks.pretrained: its jobs, one tiny run, and its table."""

import pytest

import tiny_language_model as tiny
from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.pretrained import __main__ as command
from benchmarks.pretrained import experiments, page, records, run_one
from benchmarks.pretrained.experiments import BY_NAME, EXPERIMENTS
from dqn_tf.support.errors import UserError

TINY = {
    "total_steps": 64,
    "warmup_env_steps": 32,
    "batch_size": 8,
    "num_envs": 8,
    "env_steps_per_update": 8.0,
    "hidden_units": (8,),
    "width": 8,
}


def row(name="smollm2", seed=1, **values) -> records.Row:
    """A run as the command would record it."""
    result = {
        "train": 0.9,
        "validation": 0.7,
        "test": 0.65,
        "weights": 90_000,
        "seconds": 200.0,
        "cpu_seconds": 150.0,
        "updates": 9,
        "env_steps": 90,
    }
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, result | values)


def test_help_and_mistakes_come_without_tensorflow():
    assert "smollm2_zh" in help_without("pretrained", "tensorflow", "keras", "scipy")
    with pytest.raises(UserError, match="--env is for train.py"):
        command.parse(["pretrained", "--env=CartPole-v1"])


def test_seeds_of_the_search_are_not_reported():
    jobs = list(command.FAMILY.jobs(command.parse(["pretrained"])))
    assert len(jobs) == sum(1 if each.is_supervised else 5 for each in EXPERIMENTS)
    assert {job.runs[0].config.seed for job in jobs} == set(range(1, 6))


def test_one_run_is_played_with_the_wordings_of_each_split(monkeypatch, tmp_path):
    for package in ("safetensors", "tokenizers"):
        pytest.importorskip(package, reason="the extra `language` is not installed")
    tiny.write_hugging_face(tmp_path)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(run_one, "EPISODES", 20)
    overrides = TINY | {"language_model": str(tmp_path), "language_layers": 1}
    overrides |= {"language_prompt": "{text} {text}", "message_tokens": 8}
    result = run_one.run(experiments.configure(BY_NAME["smollm2"], 100, overrides))
    assert all(-1.4 <= result[split] <= 1.0 for split in run_one.SPLITS)
    assert result["updates"] == 4 and 0 < result["weights"] < 10_000


def test_the_page_says_what_is_missed(tmp_path):
    for each in (
        row(seed=1, test=0.7),
        row(seed=2, test=0.4),
        row(seed=100, test=0.0),
        row("bag", test=-0.3),
        row("bag", seed=2)._replace(config_hash="another"),
        row("bag_zh"),
        row("news_gru", test=0.31),
        row("titles_told", test=2.2),
    ):
        append(tmp_path / records.FILE, each)
    text = page.render(tmp_path)
    assert "| SmolLM2, read again | 0.900 [0.900, 0.900] | 0.700" in text
    assert "so far 2 of 5 seeds: at least 0.60 on test wordings **missed**, 0.550 [0.4" in text
    assert "on training wordings **met**" in text and "600 s **met**, 150" in text
    assert "| bag of words | 0.900 [0.900, 0.900] | 0.700 [0.700, 0.700] | -0.300" in text
    assert "Chinese wordings" in text and "| optimum | 0.907 | 0.907 | 0.907 | exact" in text
    news, titles = (text.partition(each)[2] for each in ("| NewsAlert, ", "| TitleRec, "))
    assert "| DQN on words, GRU | 0.900 [0.900, 0.900] | 0.700 [0.700, 0.700] | 0.310" in news
    assert "| 4 of the last 6 negative | 0.429 | 0.429 | 0.429 | exact" in news.split("\n\n")[0]
    assert "| optimum | 2.936 |" in titles and "| supervised on SmolLM2, and the exact" in titles
    assert page.render(tmp_path / "nothing") == "Not measured yet.\n"


def test_the_page_in_the_project_is_what_its_records_give():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    between = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert between == f"\n{page.render(RESULTS / 'pretrained')}\n", (
        "python -m benchmarks.pretrained --render_only"
    )
