"""Signals (faults.md): a run that is stopped or killed, at any moment, goes on to the very weights
of one that was not.

faulty.py sends the signal from inside the process, so each moment is hit for certain; one
test sends it from outside.
"""

import os
import random
import signal

import pytest

from command_server import run, start
from dqn_tf.export.publish import published_versions
from dqn_tf.run_files import checkpoint
from small_runs import finished_run, report, resume_run, signal_at, small_run

SAME = ("env_steps", "updates", "weights_sha256", "last", "best")


def require_whole(directory) -> int:
    """The step of the newest checkpoint, which must be whole, as all that is there must be."""
    checkpoints = directory / "run" / "checkpoints"
    assert all(name.isdigit() for name in os.listdir(checkpoints)), "something was left behind"
    said = []
    found = checkpoint.load_latest(checkpoints, said.append)
    assert not said
    return found.state["engine"]["env_step"]


def require_same_end(directory) -> None:
    """The resumed run's results are those of the undisturbed run."""
    after, before = report(directory), report(finished_run())
    assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}
    assert published_versions(directory / "export") == [1]


@pytest.mark.parametrize(
    ("moment", "count", "steps"),
    [
        # built, but no step taken; the first reset only looks for action masks
        ("reset", 2, {0}),
        ("training", 30, {32}),  # warm-up
        ("training", 250, {256}),  # learning
        ("evaluation", 5, {152}),  # amid the first periodic evaluation
        ("saving", 14, {200, 208}),  # amid the second checkpoint
        ("test", 5, {400}),  # the final test
    ],
)
def test_sigterm_leaves_one_whole_checkpoint_to_go_on_from(tmp_path, moment, count, steps):
    status, text = run(small_run(tmp_path), tmp_path, **signal_at(moment, count))
    assert status == 143 and f"Go on with: python train.py --resume={tmp_path / 'run'}" in text, (
        text
    )
    assert require_whole(tmp_path) in steps
    assert not (tmp_path / "export").exists() or not published_versions(tmp_path / "export")
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    require_same_end(tmp_path)


def test_sigterm_during_the_export_lets_it_finish(tmp_path):
    status, text = run(small_run(tmp_path), tmp_path, **signal_at("publishing"))
    assert status == 143, text
    assert require_whole(tmp_path) == 400
    require_same_end(tmp_path)
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0 and "already complete" in text, text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_during_the_save_ends_it_at_once(tmp_path, number):
    status, text = run(small_run(tmp_path), tmp_path, **signal_at("saving", 14, number, again=1))
    assert status == 128 + number and "Traceback" not in text, text
    found = checkpoint.load_latest(tmp_path / "run" / "checkpoints")
    assert found.state["engine"]["env_step"] < 200, "the one being saved is not there"


def test_a_signal_from_outside_is_answered(tmp_path):
    command = start(small_run(tmp_path, total_steps=1_000_000), tmp_path)
    command.wait_for(text=" from step 0 in ")
    command.kill(signal.SIGINT)
    assert command.wait() == 130 and "Traceback" not in command.text, command.text
    require_whole(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_restarted_at_random_times(tmp_path, number):
    """Three stops, or two kills."""
    stops, earliest, latest = (3, 40, 110) if number == signal.SIGTERM else (2, 110, 190)
    dice, words = random.Random(20), small_run(tmp_path)
    for _ in range(stops):
        hit = signal_at("training", dice.randint(earliest, latest), number)
        status, text = run(words, tmp_path, **hit)
        assert status == (143 if number == signal.SIGTERM else -9), text
        words = resume_run(tmp_path)
    if number == signal.SIGTERM:
        require_whole(tmp_path)
    status, text = run(words, tmp_path)
    assert status == 0, text
    require_same_end(tmp_path)
