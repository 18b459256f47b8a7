"""`--track`: a follower beside a training, which goes on whatever becomes of it."""

import importlib.util
import os
import shlex
import signal

import pytest

from dqn_tf.support.errors import UserError
from dqn_tf.tracking import beside
from dqn_tf.tracking.beside import FollowerBeside
from dqn_tf.tracking.tracker import TRACKERS
from dqn_tf.training.flags import parse_training_flags
from tracked_runs import append_rows, finish_run, make_run, scalars_of, training
from tracker_contents import READ

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)


@pytest.fixture
def stand_in(monkeypatch):
    """A tracker that needs no package; its follower fails where it opens it."""
    monkeypatch.setattr(beside, "require_packages", lambda to: None)


def test_a_run_is_followed_to_its_end_and_the_last_line_says_what_was_sent(to, tmp_path):
    run = make_run(tmp_path / "env" / "run", rows=2)
    (run / "tracking.log").write_text("an earlier line\n", encoding="utf-8")
    with training(run):
        follower = FollowerBeside(run, to, None, None, has_several=False)
        append_rows(run, [3, 4])
        assert "is still sending to" in follower.closing_line(0.01)
        assert not (run / "tracking.json").exists(), "a tracker is loaded beside a short training"
    finish_run(run, 40)
    line = follower.closing_line(240)
    assert line.startswith(f"Sent to {to} (") and line.endswith(" of 1 run.")
    if to != "trackio":  # of which this process knows one place
        assert READ[to](tmp_path / "env", run).scalars == scalars_of(run)


def test_a_follower_that_dies_is_told_of_with_the_way_to_send_the_rest(stand_in, tmp_path):
    run = make_run(tmp_path / "run")
    with training(run):
        follower = FollowerBeside(run, "mlflow", None, None, has_several=False)
        os.kill(follower._process.pid, signal.SIGKILL)
        line = follower.closing_line(60)
    assert "Not all was sent to mlflow: its process was ended by signal 9." in line
    assert f"python -m dqn_tf.tracking --run={run} --to=mlflow" in line


def test_the_rest_is_sent_where_the_beginning_went(stand_in, tmp_path):
    run = make_run(tmp_path / "a run")
    uri = "http://127.0.0.1:9/a b"
    with training(run):
        follower = FollowerBeside(run, "mlflow", uri, "my desk", has_several=False)
        (run / "tracking.log").unlink()
        os.kill(follower._process.pid, signal.SIGTERM)
        line = follower.closing_line(60)
    typed = shlex.split(line.partition("dqn_tf.tracking ")[2])
    assert typed == [f"--run={run}", "--to=mlflow", f"--tracking_uri={uri}", "--project=my desk"]


def test_a_destination_that_is_wrong_is_told_of_at_the_end(to, tmp_path):
    run = make_run(tmp_path / "run")
    uri = "sqlite:////dev/null/x" if to == "mlflow" else "/dev/null/x"
    line = FollowerBeside(run, to, uri, None, has_several=False).closing_line(120)
    assert f"Not all was sent to {to}: --tracking_uri=/dev/null/x cannot be written" in line


@needs_tensorflow
def test_a_training_goes_on_without_the_package_and_says_so_first_and_last(tmp_path):
    from command_server import run
    from small_runs import small_run

    status, text = run(small_run(tmp_path, track="wandb"), tmp_path, NOT_INSTALLED="wandb")
    assert status == 0, text
    sentence = "wandb is not installed. Type: pip install wandb"
    assert f"warning: --track=wandb: {sentence} Training goes on." in text
    assert f"Not all was sent to wandb: {sentence}." in text.splitlines()[-1]
    assert "weights_sha256" in text


@needs_tensorflow
def test_train_py_sends_its_run(to, tmp_path):
    from command_server import run
    from small_runs import small_run

    if to != "mlflow":
        pytest.skip("one tracker is enough for the whole way")
    status, text = run(small_run(tmp_path, track="mlflow", tracking_project="desk"), tmp_path)
    assert status == 0, text
    assert text.splitlines()[-1].startswith("Sent to mlflow (sqlite:///"), text
    content = READ[to](tmp_path, tmp_path / "run")
    assert content.scalars == scalars_of(tmp_path / "run")
    assert content.settings["total_steps"] == "400"
    assert "learning_curve.png" in content.files and "export/1/saved_model.pb" in content.files


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("--track=neptune", "|".join(TRACKERS)),
        ("--tracking_uri=x", "name the tracker with --track"),
        ("--tracking_project=x", "name the tracker with --track"),
        ("--track=wandb --tracking_uri=https://api.wandb.ai", "must be a path of this machine"),
        ("--track=trackio --tracking_uri=~no-such-user/x", "there is no user"),
    ],
)
def test_wrong_flags_of_train_py(word, sentence):
    with pytest.raises(UserError, match=sentence):
        parse_training_flags(["train.py", "--env=CartPole-v1", *word.split()])
