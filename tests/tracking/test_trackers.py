"""The same run in each tracker, written to the real package and read back by its own API."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dqn_tf.support.errors import UserError
from dqn_tf.tracking import follower, run_state
from dqn_tf.tracking.__main__ import OPEN
from dqn_tf.tracking.flags import parse
from dqn_tf.tracking.follower import Follower
from dqn_tf.tracking.tracker import Identity
from tracked_runs import append_rows, finish_run, make_run, scalars_of, training, write_config
from tracker_contents import READ, key_of, track, words

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "config.json",
    "evaluation.json",
    "learning_curve.png",
    "export/3/saved_model.pb",
    "export/3/variables/variables.index",
}


def start(run: Path, to: str, place: Path, *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "dqn_tf.tracking", *words(run, to, place), *more]
    return subprocess.Popen(
        [*command, "--period_seconds=0.05", "--niceness=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(condition, patience: float = 240) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_is_there_whole_once_and_with_its_files(to, place, tmp_path, capsys, monkeypatch):
    run = make_run(tmp_path / f"{to}-run", rows=700)  # more scalars than MLflow takes at once
    finish_run(run, 7_000)
    track(run, to, place)
    expected = scalars_of(run)
    assert f"{expected.total():,} numbers and 4 files of 1 run" in capsys.readouterr().out
    content = READ[to](place, run)
    assert content.scalars == expected
    assert content.name == f"{to}-run"
    assert content.settings["batch_size"] == "64" and content.settings["env"] == "CartPole-v1"
    assert content.files == FILES
    parts = sorted(place.rglob("*.wandb"))
    track(run, to, place)
    assert "has all of 1 run already" in capsys.readouterr().out
    assert READ[to](place, run) == content
    monkeypatch.chdir(tmp_path)
    track(Path(run.name), to, Path(os.path.relpath(place)))  # the same, typed in another way
    assert "has all of 1 run already" in capsys.readouterr().out
    assert sorted(place.rglob("*.wandb")) == parts


def test_another_project_gets_all_of_a_run(to, place, tmp_path, capsys):
    run = make_run(tmp_path / "run", rows=20, total_steps=2_000)
    finish_run(run, 2_000)
    said = []
    for project in ("one", "two", "one"):
        track(run, to, place, f"--project={project}")
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "Sent to" in said[0]
    assert "has all of 1 run already" in said[2]


def test_the_times_and_the_end_of_a_run_in_mlflow(to, place, tmp_path):
    """Those of its training, however often and whenever it is sent; and stopped is not finished."""
    if to != "mlflow":
        pytest.skip("no other has them")
    run = make_run(tmp_path / "run", rows=3, total_steps=2_000)
    os.utime(run / "config.json", (1_000_000, 1_000_000))
    finish_run(run, 2_000)
    os.utime(run / "metrics.csv", (1_000_600, 1_000_600))
    os.utime(run / "evaluation.json", (1_000_601, 1_000_601))
    for _ in range(2):
        track(run, to, place)
        info = mlflow_info(place, run)
        assert (info.start_time, info.end_time) == (1_000_000_000, 1_000_601_000)
        assert info.status == "FINISHED"
    write_config(run, total_steps=4_000)  # as by --resume, and then Ctrl-C
    append_rows(run, [11])
    track(run, to, place)
    assert mlflow_info(place, run).status == "KILLED"


def mlflow_info(place: Path, run: Path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (found,) = client.search_runs(experiments, f"tags.`dqn_tf.key` = '{key_of(run)}'")
    return found.info


def test_a_follower_that_is_killed_and_started_again_loses_nothing(to, place, tmp_path):
    run = make_run(tmp_path / "run", rows=50)
    with training(run):
        for number in range(2):
            follower = start(run, to, place)
            # killed as soon as it has opened the run and is sending
            wait_for((run / "tracking.json").exists)
            wait_for(lambda: has_begun(to, place, run))
            append_rows(run, range(60 + 50 * number, 100 + 50 * number))
            time.sleep(0.1)
            follower.send_signal(signal.SIGKILL)
            follower.communicate()
        follower = start(run, to, place)
        append_rows(run, range(200, 230))
    finish_run(run, 2_300)
    printed, _ = follower.communicate(timeout=240)
    assert follower.returncode == 0 and "Sent to" in printed, printed
    content = READ[to](place, run)
    assert content.scalars == scalars_of(run)
    assert content.files == FILES


def test_a_training_is_left_alone_at_first(to, place, tmp_path):
    run = make_run(tmp_path / "run", rows=5)
    delay = 3.0
    with training(run):
        begin = time.monotonic()
        follower = start(run, to, place, f"--delay_seconds={delay}")
        wait_for((run / "tracking.json").exists)
        assert time.monotonic() - begin >= delay
        append_rows(run, [6])
    finish_run(run, 60)
    printed, _ = follower.communicate(timeout=240)
    assert follower.returncode == 0, printed
    assert READ[to](place, run).scalars == scalars_of(run)


def has_begun(to: str, place: Path, run: Path) -> bool:
    """Whether a follower has written anything of the run."""
    if to == "wandb":
        return any(place.glob(f"wandb/offline-run-*-{key_of(run)}*/*.wandb"))
    try:
        return bool(READ[to](place, run).scalars)
    except Exception:  # not there yet
        return False


def open_follower(run: Path, to: str, place: Path) -> Follower:
    """A follower of this process, as `dqn-track` makes it."""
    uri = parse(["dqn-track", *words(run, to, place)]).tracking_uri or ""
    open_tracker = OPEN[to][1]
    return Follower(
        run, lambda path, key: open_tracker(Identity(key, path.name, "CartPole-v1", uri)), to
    )


@pytest.mark.parametrize("is_live", [False, True])
def test_a_resumed_run_adds_its_new_rows_and_its_changed_settings(to, place, tmp_path, is_live):
    """Whether it is followed all the while, or sent before and after."""
    run = make_run(tmp_path / "run", rows=6)
    before = scalars_of(run)
    follower = open_follower(run, to, place)
    if is_live:
        follower.send_new()
    else:
        follower.finish()
        assert READ[to](place, run).scalars == before
        follower = open_follower(run, to, place)
    # back to step 30, as the last checkpoint has it; one row comes out as before, one does not
    path = run / "metrics.csv"
    kept = path.read_bytes().splitlines(keepends=True)[: 1 + 3 * 3]
    path.unlink()
    path.write_bytes(b"".join(kept))
    append_rows(run, [4])
    append_rows(run, [5], loss=0.25)
    write_config(run, total_steps=90_000)
    follower.finish()
    content = READ[to](place, run)
    changed = scalars_of(run) - before
    assert len(changed) == 1 and content.scalars == before + changed
    name = "resumed.total_steps" if to == "mlflow" else "total_steps"
    assert {**content.settings, **content.tags}[name] == "90000"


def test_a_request_that_failed_half_way_is_made_good(to, place, tmp_path, monkeypatch):
    run = make_run(tmp_path / "run", rows=20)
    follower = open_follower(run, to, place)
    tracker = follower._tracker
    send = tracker.send

    def send_half(rows):
        send(rows[: len(rows) // 2 + 1])  # the first of two episodes that are equal in all
        raise ConnectionResetError("connection reset by peer")

    monkeypatch.setattr(tracker, "send", send_half)
    with pytest.raises(UserError, match=f"{to} failed: connection reset by peer"):
        follower.send_new()
    monkeypatch.setattr(tracker, "send", send)
    follower.send_new()
    append_rows(run, [21])
    follower.finish()
    assert READ[to](place, run).scalars == scalars_of(run)


def test_two_followers_of_one_run_do_not_meet(to, place, tmp_path):
    run = make_run(tmp_path / "run", rows=1)
    follower = open_follower(run, to, place)
    with pytest.raises(UserError, match=f"is being sent to {to} by another process"):
        track(run, to, place)
    follower.finish()
    track(run, to, place)
    assert READ[to](place, run).scalars == scalars_of(run)


def test_followers_of_several_trackers_share_the_run_s_key_and_files(to, place, tmp_path):
    run = make_run(tmp_path / "run", rows=1)
    following = open_follower(run, to, place)
    key = key_of(run)
    # what a follower to another tracker has written meanwhile
    run_state.remember_files(run, "another", "digest")
    following.finish()
    state = run_state.read(run)
    assert state["key"] == key and set(state["files"]) == {to, "another"}


def test_a_run_that_is_moved_while_it_is_followed_is_told_of(to, place, tmp_path):
    kept, moved = [make_run(tmp_path / "runs" / name, rows=1) for name in ("kept", "moved")]
    uri = parse(["dqn-track", *words(kept, to, place)]).tracking_uri or ""
    walk = follower._Walk(
        tmp_path / "runs",
        lambda path, key: OPEN[to][1](Identity(key, path.name, "CartPole-v1", uri)),
        to,
    )
    walk.visit({kept, moved})
    moved = moved.rename(tmp_path / "elsewhere")
    walk.visit({kept})
    walk.visit(set())
    with pytest.raises(UserError, match="1 of 2 runs: .*moved was moved or deleted"):
        walk.outcome()
    assert READ[to](place, kept).scalars == scalars_of(kept)
    track(moved, to, place)
    assert READ[to](place, moved).scalars == scalars_of(moved)
