"""benchmarks.continual: its tasks, one tiny chain of each kind, its measures and its page."""

import json

import numpy as np
import pytest

import tiny_language_model as tiny
from benchmark_helpers import ROOT, help_without
from benchmarks.common.flags import RESULTS
from benchmarks.common.records import append
from benchmarks.continual import __main__ as command
from benchmarks.continual import experiments, measures, page, records, run_one
from benchmarks.continual.experiments import BY_NAME, EXPERIMENTS, TASKS, VOCABULARY
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.support.errors import UserError

TINY = {
    "total_steps": 160,
    "warmup_env_steps": 64,
    "replay_capacity": 100,
    "batch_size": 8,
    "updates_per_block": 2,
    "hidden_units": (4,),
    "width": 4,
}
# of the untrained network, and after each task
RETURNS = np.array([[0.0, -0.2, -0.4], [0.9, 0.0, 0.1], [0.5, 0.8, 0.2], [0.1, 0.7, 0.6]])


def row(name: str, seed: int, **values) -> records.Row:
    """A chain as the command would record it."""
    costs = {"episodes": 10, "seconds": 2.0, "cpu_seconds": 1.0, "updates": 9, "env_steps": 90}
    config = experiments.configure(BY_NAME[name], seed, {})
    return records.row(name, config, {"returns": RETURNS.tolist()} | costs)._replace(**values)


def test_help_and_mistakes_come_without_tensorflow():
    assert "reservoir" in help_without("continual", "tensorflow", "keras", "scipy")
    with pytest.raises(UserError, match="--env is for train.py"):
        command.parse(["continual", "--env=CartPole-v1"])


def test_the_vocabulary_has_all_words_and_each_desk_is_a_part_of_it(monkeypatch):
    monkeypatch.chdir(ROOT)
    whole = json.loads((ROOT / VOCABULARY).read_text(encoding="utf-8"))
    desks = [json.loads((ROOT / task).read_text(encoding="utf-8")) for task in TASKS]
    for name, texts in whole.items():
        parts = [desk[name] for desk in desks]
        if name in ("vague", "neither"):
            assert parts == [texts] * len(desks)
        else:
            assert [text for part in parts for text in part] == texts
    envs = [Helpdesk(wordings=task, vocabulary=VOCABULARY) for task in TASKS]
    assert len({env.tokens for env in envs}) == 1 and envs[0].action_space.n == 6
    assert all(env.beliefs.pairs == experiments.PAIRS for env in envs)


def test_measures_are_those_of_the_papers():
    assert measures.forgetting(RETURNS) == pytest.approx(np.mean([0.9 - 0.1, 0.8 - 0.7]))
    assert measures.forward_transfer(RETURNS) == pytest.approx(np.mean([0.2, 0.6]))
    assert measures.learned(RETURNS) == pytest.approx(np.mean([0.9, 0.8, 0.6]))


def test_the_first_task_has_nothing_of_what_comes_before():
    for experiment in EXPERIMENTS:
        last = experiments.configure(experiment, 1, {})
        first = experiments.of_task(last, 0, "", [])
        assert not (first.initial_weights or first.initial_replay or first.data or first.cql_alpha)
        assert first.replay_eviction == last.replay_eviction
        later = experiments.of_task(last, 1, "runs/1", ["1.npz"])
        assert later.initial_weights == "runs/1"
        assert (later.initial_replay, later.data) == {
            "none": ("", ()),
            "rehearsal": ("", ("1.npz",)),
            "reservoir": ("runs/1", ()),
        }[experiment.name.split("_")[-1].replace("smollm2", "none").replace("lora", "none")]


def test_a_language_model_goes_through_the_tasks(monkeypatch, tmp_path):
    for package in ("safetensors", "tokenizers"):
        pytest.importorskip(package, reason="the extra `language` is not installed")
    tiny.write_hugging_face(tmp_path)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(run_one, "EPISODES", 10)
    model = {"language_model": str(tmp_path), "language_layers": 1, "lora_layers": 1}
    tiny_run = TINY | model | {"message_tokens": 4, "env_steps_per_update": 32.0}
    result = run_one.run(experiments.configure(BY_NAME["lora_reservoir"], 7, tiny_run))
    assert np.array(result["returns"]).shape == (4, 3)
    assert result["env_steps"] == 3 * 160 and result["updates"] > 3


def test_weights_that_are_kept_forget_nothing():
    kept = measures.with_weights_kept(RETURNS)
    np.testing.assert_array_equal(
        kept, [[0.0, -0.2, -0.4], [0.9, 0.0, 0.1], [0.9, 0.8, 0.2], [0.9, 0.8, 0.6]]
    )
    assert measures.forgetting(kept) == 0.0
    assert measures.forward_transfer(kept) == measures.forward_transfer(RETURNS)


@pytest.mark.parametrize("name", ["rehearsal", "reservoir"])
def test_a_chain_begins_each_task_with_what_the_one_before_left(monkeypatch, name):
    """Without an update the returns stay, and the reservoir counts the rows of all tasks."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(run_one, "EPISODES", 20)
    monkeypatch.setattr(run_one, "LOGGED_DIALOGUES", 20)
    replays = []

    def train(trained, config, directory):
        replays.append(trained.engine.replay)
        original(trained, config, directory)

    original = run_one._train
    monkeypatch.setattr(run_one, "_train", train)
    last = experiments.configure(BY_NAME[name], 7, TINY | {"env_steps_per_update": 1000.0})
    result = run_one.run(last)
    assert np.array(result["returns"]).shape == (4, 3)
    assert result["returns"] == [result["returns"][0]] * 4
    assert result["env_steps"] == 3 * 160 and result["updates"] == 0
    if name == "rehearsal":
        assert [len(getattr(replay, "logged", ())) for replay in replays] == [0, 1, 2]
    else:
        assert [replay.added for replay in replays] == [160, 320, 480]


def test_the_page_weighs_each_method_against_none(tmp_path):
    for seed in (1, 2):
        append(tmp_path / records.FILE, row("none", seed))
        append(tmp_path / records.FILE, row("reservoir", seed, after_3_on_1=0.85, after_3_on_2=0.8))
        append(tmp_path / records.FILE, row("rehearsal", seed, after_3_on_1=0.6, after_3_on_2=0.8))
    text = page.render(tmp_path)
    assert "| nothing against it | 0.450 [0.450, 0.450] | 0.100" in text
    assert "tasks, so far 2 of 5 seeds: forgetting at most 0.25 of that without **met**" in text
    assert "dialogues, so far 2 of 5 seeds: forgetting at most 0.25 of that without **miss" in text
    assert "| optimum | 0 | 0.940 |" in text and "SmolLM2" not in text
    append(tmp_path / records.FILE, row("lora", 1))
    text = page.render(tmp_path)
    assert "| SmolLM2, LoRA, nothing against it | 0.450" in text
    assert "kept, told which task it is | 0.000 [0.000, 0.000] | 0.900" in text


def test_the_page_is_what_the_records_say():
    text = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    shown = text.partition(page.BEGIN)[2].partition(page.END)[0]
    assert shown.strip() == page.render(RESULTS / "continual").strip()
