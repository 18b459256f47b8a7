"""What can be wrong with `dqn-track`: one sentence each."""

import socket
from pathlib import Path

import pytest

from dqn_tf.support.errors import UserError
from dqn_tf.tracking import tracker
from dqn_tf.tracking.destination import default_uri
from dqn_tf.tracking.flags import parse
from dqn_tf.tracking.tracker import Known
from tracked_runs import make_run, scalars_of
from tracker_contents import READ, track


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--to=mlflow"], "--run is missing"),
        (["--run=."], "--to is missing: name one of mlflow, wandb, trackio"),
        (["--run=/nowhere", "--to=mlflow"], "--run=/nowhere: there is no such directory"),
        (["--run=.", "--to=neptune"], "neptune.*mlflow"),
        (["--run=.", "--to=mlflow", "--period_seconds=nan"], "--period_seconds=nan: must be"),
        (["--run=.", "--to=mlflow", "--delay_seconds=inf"], "--delay_seconds=inf: must be"),
    ],
)
def test_wrong_flags(words, sentence):
    with pytest.raises(UserError, match=sentence):
        parse(["dqn-track", *words])


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(tracker.TRACKERS, "trackio", Known(("no_such_package",), "trackio", ""))
    with pytest.raises(UserError, match="trackio is not installed. Type: pip install trackio"):
        parse(["dqn-track", "--run=.", "--to=trackio"])


def test_a_directory_of_the_package_s_name_is_no_package(monkeypatch, tmp_path):
    (tmp_path / "no_such_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(tracker.TRACKERS, "trackio", Known(("no_such_package",), "trackio", ""))
    with pytest.raises(UserError, match="trackio is not installed. Type: pip install trackio"):
        parse(["dqn-track", "--run=.", "--to=trackio"])


def test_places_that_cannot_be_written_to(to, place, tmp_path):
    run = make_run(tmp_path / "run", rows=1)
    uri = "sqlite:////dev/null/x/mlflow.db" if to == "mlflow" else "/dev/null/x"
    with pytest.raises(UserError, match=f"--tracking_uri={uri.removeprefix('sqlite:///')} cannot"):
        track(run, to, place, f"--tracking_uri={uri}")
    if to == "mlflow":
        with pytest.raises(UserError, match="such as sqlite:///mlruns/mlflow.db"):
            track(run, to, place, "--tracking_uri=mlruns")
    assert not (run / "tracking.json").exists()


def test_a_server_that_does_not_answer(to, place, tmp_path, monkeypatch):
    if to != "mlflow":
        pytest.skip("writes to files of this machine")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = make_run(tmp_path / "run", rows=1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(UserError, match=f"mlflow .{uri}. failed: "):
            track(run, to, place, f"--tracking_uri={uri}")
        secret = uri.replace("://", "://me:secret@")
        with pytest.raises(UserError, match=r"mlflow .http://me:\*\*\*@") as error:
            track(run, to, place, f"--tracking_uri={secret}")
        assert "secret" not in str(error.value).split(" failed: ")[0]
        assert "secret" not in "".join(path.name for path in run.iterdir())


def test_a_directory_without_runs(to, place, tmp_path):
    with pytest.raises(UserError, match="has no run: no directory with config.json and metrics"):
        track(tmp_path, to, place)


def test_of_several_runs_a_damaged_one_keeps_no_other_back(to, place, tmp_path):
    good = make_run(tmp_path / "b" / "seed2", rows=3)
    bad = make_run(tmp_path / "a" / "seed1", rows=3)
    (bad / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"1 of 2 runs: .*seed1.*is not JSON"):
        track(tmp_path, to, place, "--name=sweep")
    content = READ[to](place, good)
    assert content.scalars == scalars_of(good) and content.name == "sweep-b-seed2"


def test_runs_go_beside_the_run_or_among_several(tmp_path):
    run = tmp_path / "env" / "run"
    assert default_uri(run, "mlflow", has_several=False) == f"sqlite:///{tmp_path}/env/mlflow.db"
    assert default_uri(run.parent, "mlflow", True) == default_uri(run, "mlflow", False)
    assert Path(default_uri(run, "wandb", has_several=False)) == tmp_path / "env"
    assert Path(default_uri(run, "trackio", has_several=False)) == tmp_path / "env" / "trackio"
