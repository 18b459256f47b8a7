"""Runs of train.py that pretrain a language model: killed and resumed, exported and evaluated."""

import csv
import signal

import pytest

from command_server import run
from small_runs import report, resume_run, signal_at, small_run

LANGUAGE = {
    "env": "dqn_tf/Rewrite-v0",
    "env_kwargs": '{"length": 3, "symbols": 4}',
    "env_wrappers": "faulty:Hits",
    "hidden_units": None,
    "network": "gru",
    "layers": 1,
    "width": 8,
    "data": "env",
    "pretrain_updates": 200,
    "offline_updates": 130,
    "replay_unit": "episode",
    "replay_eviction": "reservoir",
    "replay_capacity": 40,
    "num_envs": 1,
    "env_steps_per_update": 2,
    "distribution": "none",
    "gamma": 0.99,
    "explore_with": "behaviour",
    "imitation": 0.1,
    "q_weight": 2.0,
}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The report of a run that was not disturbed, and its directory."""
    directory = tmp_path_factory.mktemp("unbroken")
    status, text = run(small_run(directory, **LANGUAGE), directory)
    assert status == 0, text
    assert "held-out cross-entropy" in text and "KL to the pretrained model" in text
    return report(directory), directory


@pytest.mark.parametrize(
    ("moment", "count", "reached"),
    [
        ("saving", 14, 100),  # amid a checkpoint of the pretraining
        ("training", 250, 500),
    ],
)
def test_killed_before_or_among_its_steps_it_ends_with_the_same_weights(
    unbroken, tmp_path, moment, count, reached
):
    """At every block of every part: tests/engines/test_language.py."""
    hit = signal_at(moment, count, signal.SIGKILL)
    status, text = run(small_run(tmp_path, **LANGUAGE), tmp_path, **hit)
    assert status == -signal.SIGKILL, text
    steps = [int(path.name) for path in (tmp_path / "run" / "checkpoints").glob("[0-9]*")]
    assert abs(max(steps, default=0) - reached) <= 100, steps
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    after = report(tmp_path)
    for name in ("weights_sha256", "env_steps", "updates", "behaviour", "last", "best"):
        assert after[name] == unbroken[0][name], name


def test_the_metrics_say_what_became_of_the_language_model(unbroken):
    after, directory = unbroken
    assert set(after["behaviour"]) == {"held_out_cross_entropy", "kl_to_pretrained"}
    with (directory / "run" / "metrics.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["evaluation_return"]]
    assert all(row["held_out_cross_entropy"] for row in rows)
    assert [bool(row["kl_to_pretrained"]) for row in rows[:2]] == [False, True]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"network": "mlp"}, "--network=mlp gives Q-values of whole observations"),
        ({"env": "dqn_tf/TextMaze-v0", "env_kwargs": None}, "--replay_unit=transition"),
        ({"data": None, "imitation": 0}, "--pretrain_updates=200 are updates on logged data"),
        ({"data": None, "pretrain_updates": 0, "offline_updates": 0}, "give --data"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(tmp_path, flags, said):
    status, text = run(small_run(tmp_path, **LANGUAGE | flags), tmp_path)
    assert status == 1 and said in text, text
    assert "Traceback" not in text
    assert not (tmp_path / "run").exists()
