"""Runs of train.py whose choices are texts: begun with old weights, killed, resumed, evaluated."""

import json
import shutil
import signal
from pathlib import Path

import pytest

from command_server import ROOT, refusal, run
from dqn_tf.run_files import checkpoint
from small_runs import report, resume_run, signal_at, small_run

FIVE = str(ROOT / "examples" / "helpdesk_five_pairs.json")
TEXTS = {
    "env": "dqn_tf/Helpdesk-v0",
    "env_kwargs": json.dumps({"vocabulary": FIVE}),
    "env_wrappers": "faulty:Hits",
    "choices": "texts",
    "max_choices": 16,
    "network": "mlp",
    "hidden_units": 8,
    "width": 8,
    "num_envs": 2,
    "env_steps_per_update": 8,
    "total_steps": 160,
    "n_step": 2,
    "prioritized": True,
    "replay_eviction": "reservoir",
    "replay_capacity": 100,
    "dueling": True,
    "double": True,
}
MORE = {"env_kwargs": json.dumps({"vocabulary": FIVE, "wordings": FIVE})}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run with four pairs of issues, its report and its export."""
    directory = tmp_path_factory.mktemp("first")
    status, text = run(small_run(directory, **TEXTS), directory)
    assert status == 0, text
    assert "up to 16 choices of 13 tokens, each by its text" in text
    return directory


def test_begun_with_old_weights_and_killed_it_ends_with_the_same_weights(first, tmp_path):
    """With the old replay, too, which is then a sample of what both runs have seen."""
    origin = {"initial_weights": first / "run", "initial_replay": first / "run"}
    begun = TEXTS | MORE | origin | {"total_steps": 200}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for directory in (whole, broken):
        directory.mkdir()
    status, text = run(small_run(whole, **begun), whole)
    assert status == 0, text
    status, text = run(small_run(broken, **begun), broken, **signal_at("training", 130, 9))
    assert status == -signal.SIGKILL, text
    # what it began with is not needed any more
    assert "--initial_weights" in refusal(resume_run(broken, initial_weights="other"), broken)
    (first / "run").rename(first / "moved")
    status, text = run(resume_run(broken), broken)
    (first / "moved").rename(first / "run")
    assert status == 0, text
    for name in ("weights_sha256", "updates", "last"):
        assert report(broken)[name] == report(whole)[name], name
    latest = checkpoint.load_latest(broken / "run" / "checkpoints")
    kept = latest.state["engine"]["replay"]
    assert kept["capacity"] == 100 and 350 < kept["added"] <= 360  # a window may still be open


def test_a_run_and_its_export_hold_the_same_weights(first):
    from dqn_tf.agent.dqn import weights_sha256
    from dqn_tf.training import initial_weights

    for name in ("run", "export", "export/1"):
        weights = initial_weights.find(str(first / name)).read()
        assert weights_sha256(weights) == report(first)["weights_sha256"], name


def test_evaluated_with_more_answers_its_episodes_show_them(first, tmp_path):
    words = [f"--model={first / 'export'}", "--episodes=4", "--show=3"]
    status, text = run([*words, f"--env_kwargs={MORE['env_kwargs']}"], tmp_path, "evaluate.py")
    assert status == 0, text
    assert "    We end your contract on the last day of the month." in text
    assert text.count("  → ") >= 3
    status, text = run(words, tmp_path, "evaluate.py")
    assert status == 0 and "We end your contract" not in text, text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"initial_weights": "nowhere"}, "there is no such directory"),
        ({"dueling": None, "width": 4}, "--width is 8 there and 4 here; --dueling is True there"),
        ({"env_kwargs": None}, "categories is 483 there and 431 here"),
        ({"choices": None, "max_choices": None}, "--choices is texts there and numbered here"),
        ({"imitation": 0.1, "data": "env"}, "it has no behaviour head"),
        ({"env": "CartPole-v1", "env_kwargs": None}, "--choices=texts is for environments"),
        ({"max_choices": 3}, "give --max_choices=12"),
        ({"initial_replay": "nowhere"}, "nowhere: there is no run. Give a directory"),
        ({"total_steps": 0, "data": "env", "offline_updates": 64}, "--total_steps=0 takes none"),
        ({"n_step": 3}, "--n_step is 2 there and 3 here"),
        ({"replay_capacity": 101}, "--replay_capacity=101: of 1"),
        (
            {"env": "gru_torso:StackedCartPole-v0", "env_kwargs": None, "choices": None}
            | {"max_choices": None, "network": "gru_torso:GRUTorso", "initial_weights": None}
            | {"replay_unit": "episode", "n_step": None, "initial_replay": None},
            "GRUTorso has no method `steps`",
        ),
    ],
)
def test_what_does_not_fit_is_a_sentence_and_leaves_nothing(first, tmp_path, flags, said):
    begun = {"initial_weights": first / "run", "initial_replay": first / "run"}
    flags = TEXTS | begun | flags
    assert said in refusal(small_run(tmp_path, **flags), tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_damaged_export_is_a_sentence(first, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(first / "export" / "1", damaged)
    Path(damaged / "variables" / "variables.index").write_bytes(b"")
    said = refusal(small_run(tmp_path, **TEXTS | {"initial_weights": damaged}), tmp_path)
    assert "its weights cannot be read" in said
