"""Faults of resuming (faults.md): going on with a run that is not quite what it was."""

import csv
import json
import os
import shutil

import numpy as np
import pytest

from checkpoints import remade
from command_server import refusal, run
from dqn_tf.agent.dqn import weights_sha256
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import RunDirectory
from small_runs import (
    arguments,
    finished_run,
    report,
    resume_run,
    signal_at,
    small_run,
    stopped_run,
)


def test_a_run_moved_elsewhere_goes_on_as_if_never_stopped(tmp_path):
    stopped_run(tmp_path)
    shutil.move(tmp_path / "run", tmp_path / "moved")
    status, text = run(
        arguments(resume=tmp_path / "moved", export_dir=tmp_path / "export"), tmp_path
    )
    assert status == 0 and "from step 256" in text, text
    after = json.loads((tmp_path / "moved" / "evaluation.json").read_text(encoding="utf-8"))
    before = report(finished_run())
    for name in ("env_steps", "updates", "weights_sha256", "last", "best"):
        assert after[name] == before[name], name


def test_a_second_process_on_the_same_run_is_kept_out(tmp_path):
    """A dead process's lock is met by test_run_directory.py and by every resume here."""
    with RunDirectory.open(stopped_run(tmp_path)):
        assert f"is in use by process {os.getpid()} on " in refusal(resume_run(tmp_path), tmp_path)
        assert f"is in use by process {os.getpid()} on " in refusal(small_run(tmp_path), tmp_path)


def test_what_cannot_change_is_listed_as_a_whole(tmp_path):
    stopped_run(tmp_path)
    sentence = refusal(
        resume_run(tmp_path, env="CartPole-v1", hidden_units="16,16", seed=4, gamma=0.9), tmp_path
    )
    for difference in (
        "--env was faulty:Corridor-v0 and is now CartPole-v1",
        "--hidden_units was 8 and is now 16,16",
        "--seed was 3 and is now 4",
    ):
        assert difference in sentence
    assert "--gamma" not in sentence


def test_an_environment_that_changed_under_its_name_is_refused(tmp_path):
    status, text = run(
        small_run(tmp_path, env="faulty:ActionsFromOutside-v0"),
        tmp_path,
        **signal_at("training", 20),
    )
    assert status == 143, text
    sentence = refusal(resume_run(tmp_path), tmp_path, ACTIONS="3")
    assert "actions was 2 and is now 3" in sentence


def test_what_can_change_is_reported_and_holds_from_the_checkpoint_on(tmp_path):
    weights = checkpoint.load_latest(stopped_run(tmp_path) / "checkpoints").files["state.npz"]
    flags = {
        "learning_rate": 1e-30,
        "learning_rate_end": 1e-30,
        "epsilon_end": 0.3,
        "epsilon_decay_env_steps": 200,
        "total_steps": 440,
        "replay_capacity": 100,
    }
    status, text = run(resume_run(tmp_path, **flags), tmp_path)
    assert status == 0, text
    for name, before in (
        ("learning_rate", 0.0005),
        ("epsilon_end", 0.05),
        ("total_steps", 400),
        ("replay_capacity", 300),
    ):
        assert (
            f"Changed for the rest of the run: --{name} was {before} and is now {flags[name]}."
            in text
        )
    before_advice = text.partition("What to try:")[0]
    assert "--epsilon_decay_env_steps" not in before_advice, "it is what it was"
    assert "Of the saved replay, the newest 100 transitions fit." in text
    assert report(tmp_path)["env_steps"] == 440
    online = [weights[f"online/{number}"] for number in range(4)]
    assert report(tmp_path)["weights_sha256"] == weights_sha256(online), (
        "a step size of 1e-30 moves nothing"
    )
    with (tmp_path / "run" / "metrics.csv").open(encoding="utf-8") as file:
        epsilons = [
            float(row["epsilon"])
            for row in csv.DictReader(file)
            if row["epsilon"] and int(row["env_step"]) > 256
        ]
    assert epsilons and np.allclose(epsilons, 0.3), (
        "epsilon follows from the run's own step, not from the steps since resuming"
    )
    assert (
        json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))["config"][
            "total_steps"
        ]
        == 440
    )


def test_a_refused_change_is_not_kept(tmp_path):
    """A reservoir's room is refused when the replay is restored, after all flags are read."""
    reservoir = {"replay_eviction": "reservoir", "replay_capacity": 100}
    status, text = run(small_run(tmp_path, **reservoir), tmp_path)
    assert status == 0, text
    config = (tmp_path / "run" / "config.json").read_bytes()
    more = {"total_steps": 440}
    sentence = refusal(resume_run(tmp_path, replay_capacity=200, **more), tmp_path)
    assert "--replay_capacity=200" in sentence
    assert (tmp_path / "run" / "config.json").read_bytes() == config
    status, text = run(resume_run(tmp_path, **more), tmp_path)
    assert status == 0 and report(tmp_path)["env_steps"] == 440, text


def test_an_episode_that_was_given_up_breaks_no_checkpoint(tmp_path):
    """Its return is NaN until it ends, which takes 200 steps on a mountain."""
    mountain = {
        "env": "MountainCar-v0",
        "env_wrappers": "gymnasium.wrappers:NormalizeObservation",
        "total_steps": 300,
        "evaluation_period_env_steps": 0,
    }
    status, text = run(small_run(tmp_path, **mountain), tmp_path)
    assert status == 0, text
    for total_steps in (350, 390):
        status, text = run(resume_run(tmp_path, total_steps=total_steps), tmp_path)
        assert status == 0 and "did not repeat its running episode" in text, text
        assert report(tmp_path)["env_steps"] == total_steps


def test_what_follows_from_a_change_is_not_said_to_be_changed_by_hand(tmp_path):
    stopped_run(tmp_path)
    (tmp_path / "export").touch()  # so that it ends before TensorFlow is built
    status, text = run(resume_run(tmp_path, replay_memory="3KiB"), tmp_path)
    assert status == 1 and "--replay_memory was not given and is now 3KiB." in text, text
    assert "config.json was changed" not in text


def test_a_refilled_replay_needs_steps_to_learn_from(tmp_path):
    (checkpoint.load_latest(stopped_run(tmp_path) / "checkpoints").path / "replay.npz").unlink()
    words = resume_run(tmp_path, "--refill_replay", warmup_env_steps=144)
    sentence = refusal(words, tmp_path)
    assert "--warmup_env_steps=144 steps before learning goes on, and only 144 are left" in sentence


def test_what_a_change_does_not_change_is_said(tmp_path):
    stopped_run(tmp_path)
    (tmp_path / "export").touch()  # so that it ends before TensorFlow is built
    changes = {"gamma": 0.5, "warmup_env_steps": 60}
    status, text = run(resume_run(tmp_path, **changes), tmp_path)
    assert status == 1 and "--gamma was 0.99 and is now 0.5." in text, text
    assert "What the replay holds was made with --gamma=0.99, and stays so" in text
    assert "--warmup_env_steps=60 changes nothing: the run has learned since step" in text


def test_a_complete_run_is_left_as_it_is(tmp_path):
    shutil.copytree(finished_run() / "run", tmp_path / "run")
    files = {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    for flags, done in (
        ({}, "400 of 400 steps"),
        ({"total_steps": 399}, "it took 400 steps, more than 399"),
        ({"export_weights": "best"}, "400 of 400 steps"),
    ):
        status, text = run(resume_run(tmp_path, **flags), tmp_path)
        assert status == 0 and f"is already complete: {done}." in text, text
        assert "Changed for the rest of the run" not in text
        assert f"export --run={tmp_path / 'run'} exports it anew." in text
    assert files == {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (tmp_path / "run").rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    assert not (tmp_path / "export").exists()


def test_a_checkpoint_of_another_schema_names_both_versions(tmp_path):
    remade(stopped_run(tmp_path) / "checkpoints" / "256", schema=0)
    assert f"schema 0; this version of dqn_tf reads schema {checkpoint.SCHEMA}" in refusal(
        resume_run(tmp_path), tmp_path
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"run_dir": "other"}, "leave out --run_dir"),
        ({"resume": "nowhere"}, "there is no such directory"),
        ({"total_steps": 10}, "--total_steps=10"),
        ({"epsilon_end": 3}, "--epsilon_end=3.0"),
    ],
)
def test_a_bad_request_to_resume_is_named(tmp_path, flags, said):
    stopped_run(tmp_path)
    assert said in refusal(resume_run(tmp_path, **flags), tmp_path)
