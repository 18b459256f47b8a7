"""Runs of train.py that learn from logged data: killed and resumed, and mistakes."""

import json
import re
import signal

import numpy as np
import pytest

from command_server import run
from dqn_tf.evaluation.exported_policy import load_policy
from dqn_tf.evaluation.library import evaluate
from dqn_tf.export.run_snapshot import read_snapshot
from small_runs import report, resume_run, signal_at, small_run

OFFLINE = {"offline_updates": 200, "n_step": 2, "data_share": 0.5}


def write_corridor(path, episodes: int = 40, seed: int = 0) -> None:
    """Write random play of a corridor like faulty.py's: features of a place and of the steps."""
    generator = np.random.default_rng(seed)
    columns: dict[str, list] = {
        name: []
        for name in ("observation", "action", "reward", "terminated", "truncated", "episode")
    }
    for episode in range(episodes):
        place = int(generator.integers(8))
        while place < 8:
            action = int(generator.integers(1, 3))
            columns["observation"].append([place / 8, 1 - place / 8])
            place = max(0, place + (1 if action == 2 else -1))
            columns["action"].append(action)
            columns["reward"].append(float(place == 8))
            columns["terminated"].append(place == 8)
            columns["truncated"].append(False)
            columns["episode"].append(episode)
    np.savez(path, **{name: np.array(values) for name, values in columns.items()})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "corridor.npz"
    write_corridor(path)
    return path


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    """The report of a run that was not disturbed."""
    directory = tmp_path_factory.mktemp("unbroken")
    status, text = run(small_run(directory, data=data, **OFFLINE), directory)
    assert status == 0, text
    assert "200 of them on logged data alone" in text
    assert "corridor.npz: 40 episodes" in text
    return report(directory)


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("saving", 14),  # amid a checkpoint of the offline part
        ("training", 1),  # at the first environment step
        ("training", 250),
    ],
)
def test_killed_offline_at_the_seam_or_online_it_ends_with_the_same_weights(
    data, unbroken, tmp_path, moment, count
):
    arguments = small_run(tmp_path, data=data, **OFFLINE)
    hit = signal_at(moment, count, signal.SIGKILL)
    status, text = run(arguments, tmp_path, **hit)
    assert status == -signal.SIGKILL, text
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0, text
    after = report(tmp_path)
    for name in ("weights_sha256", "env_steps", "updates", "offline_updates", "last", "best"):
        assert after[name] == unbroken[name], name


def test_a_run_without_steps_exports_resumes_and_goes_on(data, tmp_path):
    """More offline updates may be asked for, as more steps of other runs."""
    words = small_run(tmp_path, data=data, **OFFLINE | {"total_steps": 0})
    status, text = run(words, tmp_path)
    assert status == 0 and "Replay memory: none, as no environment step is taken." in text, text
    first = report(tmp_path)
    assert (first["env_steps"], first["updates"], first["offline_updates"]) == (0, 200, 200)
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 0 and "already complete" in text, text
    status, text = run(resume_run(tmp_path, offline_updates=300), tmp_path)
    assert status == 0, text
    assert report(tmp_path)["updates"] == 300
    snapshot = read_snapshot(str(tmp_path / "run"), "last")
    assert snapshot.env_steps == 0 and len(snapshot.gate_observations) > 100
    assert snapshot.step == 300
    status, text = run(["--model=export", "--episodes=2"], tmp_path, "evaluate.py")
    assert status == 0 and "(version 2, trained on logged data alone, last weights)" in text, text
    manifest = (tmp_path / "export" / "1" / "assets.extra" / "dqn_tf.json").read_text()
    assert json.loads(manifest)["observation_range"]["observations"] > 100


def test_a_run_is_resumed_from_another_directory(data, tmp_path):
    """Data that were named as seen from where it was started, with a share, are found again."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = small_run(tmp_path, data=f"{data.name}@0.5", **OFFLINE | {"total_steps": 0})
    status, text = run(words, data.parent)
    assert status == 0 and "\ncorridor.npz: 40 episodes" in text, text
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert config["data"] == [f"{data}@0.5"]
    status, text = run(resume_run(tmp_path, offline_updates=300), elsewhere)
    assert status == 0 and report(tmp_path)["updates"] == 300, text
    same = f"../../{data.parent.name}/{data.name}@0.5"
    assert (elsewhere / same.partition("@")[0]).exists()
    status, text = run(resume_run(tmp_path, offline_updates=400, data=same), elsewhere)
    assert status == 0 and report(tmp_path)["updates"] == 400, text
    other = resume_run(tmp_path, offline_updates=500, data=f"{data.name}@0.5")
    status, text = run(other, elsewhere)
    assert status == 1 and "cannot change when it is resumed: --data was " in text, text
    # what an export tells the world is the name alone
    manifest = (tmp_path / "export" / "1" / "assets.extra" / "dqn_tf.json").read_text()
    assert json.loads(manifest)["config"]["data"] == ["corridor.npz@0.5"]


def test_data_that_changed_since_the_start_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    write_corridor(path)
    words = small_run(tmp_path, data=path, **OFFLINE)
    status, text = run(words, tmp_path, **signal_at("training", 1))
    assert status == 143, text
    write_corridor(path, seed=1)
    status, text = run(resume_run(tmp_path), tmp_path)
    assert status == 1 and f"--data={path} does not hold what it held" in text, text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"data": "nowhere.npz", "offline_updates": 9}, "--data=nowhere.npz: there is no such"),
        ({"cql_alpha": 1.0}, "--cql_alpha is about what logged data hold"),
        ({"support": 0.3}, "--support is about what logged data hold"),
        ({"offline_updates": 9}, "--offline_updates=9.*give --data"),
    ],
)
def test_mistakes_are_sentences_and_leave_nothing(tmp_path, flags, said):
    status, text = run(small_run(tmp_path, **flags), tmp_path)
    assert status == 1 and re.search(said, text) and "Traceback" not in text, text
    assert not (tmp_path / "run").exists()


def test_a_run_with_all_switches_is_resumed_exported_and_evaluated(data, tmp_path):
    """Killed amid the offline part and resumed, it ends with the weights of one that was not.

    What its export chooses is the best supported action, in training's evaluations and later.
    """
    switches = OFFLINE | {
        "support": 0.3,
        "cql_alpha": 0.1,
        "imitation": 0.5,
        "imitation_loss": "margin",
        "double": True,
    }
    plain, killed = tmp_path / "plain", tmp_path / "killed"
    for directory in (plain, killed):
        directory.mkdir()
    status, text = run(small_run(plain, data=data, **switches), plain)
    assert status == 0, text
    hit = signal_at("saving", 14, signal.SIGKILL)
    status, text = run(small_run(killed, data=data, **switches), killed, **hit)
    assert status == -signal.SIGKILL, text
    status, text = run(resume_run(killed), killed)
    assert status == 0, text
    assert report(killed)["weights_sha256"] == report(plain)["weights_sha256"]
    header = (plain / "run" / "metrics.csv").read_text().splitlines()[0]
    assert {"cql", "imitation", "behaviour"} <= set(header.split(","))
    policy = load_policy(plain / "export")
    assert policy.version.name == "1"
    scores = evaluate(policy, env="faulty:Corridor-v0", episodes=3)
    assert len(scores.returns) == 3
