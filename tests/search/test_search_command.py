"""python -m dqn_tf.search, trained for real: killed twice, it loses no finished trial."""

import re
import signal

import pytest

optuna = pytest.importorskip("optuna", reason="the extra `search` is not installed")

from command_server import refusal, run, start  # noqa: E402 (needs optuna)

SMALL = (
    "--env=CartPole-v1",
    "--engine=host",
    "--total_steps=300",
    "--warmup_env_steps=200",
    "--hidden_units=8",
    "--batch_size=32",
    "--distribution=none",
    "--nonoisy",
    "--noprioritized",
    "--nomunchausen",
    "--evaluation_episodes=2",
    "--test_episodes=2",
    "--nodouble",
    "--loss=huber",
    "--seeds=1",
    "--test_seeds=1",
    "--trials=4",
)


def finished(path):
    """The finished trials of a study, with the scores of their seeds."""
    (name,) = optuna.get_all_study_names(f"sqlite:///{path}")
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{path}")
    states = ("COMPLETE", "PRUNED")
    return {t.number: t.user_attrs["scores"] for t in study.trials if t.state.name in states}


def test_killed_twice_and_resumed_it_loses_no_finished_trial(tmp_path):
    before = {}
    for count in (1, 2):
        command = start(SMALL, tmp_path, "dqn_tf.search")
        command.wait_for(text=f", {count} of 4: ")
        command.kill(signal.SIGKILL)
        assert command.wait() == -signal.SIGKILL
        now = finished(tmp_path / "study.db")
        assert len(now) >= count and before.items() <= now.items()
        before = now
    status, text = run(SMALL, tmp_path, "dqn_tf.search")
    assert status == 0, text
    now = finished(tmp_path / "study.db")
    assert len(now) == 4 and before.items() <= now.items()
    assert f"{len(before)} are done" in text
    assert re.search(r"Winner: trial \d+", text) and "Train with it:" in text
    names = {path.name for path in (tmp_path / "searches" / "CartPole-v1").iterdir()}
    assert {"trials.csv", "history.png", "winner.json", "preset.txt"} <= names
    # once more, it has nothing to train
    status, again = run(SMALL, tmp_path, "dqn_tf.search")
    assert status == 0 and "trial 0, " not in again and "test of" not in again
    assert text.splitlines()[-12:] == again.splitlines()[-12:]
    sentence = refusal((*SMALL, "--gamma=0.5"), tmp_path, "dqn_tf.search")
    assert "of another search: --gamma is" in sentence
    assert "pip install" in refusal(SMALL, tmp_path, "dqn_tf.search", NOT_INSTALLED="optuna")
