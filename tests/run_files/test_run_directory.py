"""dqn_tf.run_files.run_directory: one run, one directory, one process at a time."""

import dataclasses
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command_server import ROOT
from dqn_tf.config.dqn_config import FIXED_ON_RESUME, DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.run_files import run_directory
from dqn_tf.run_files.run_directory import (
    RunDirectory,
    changed_config,
    default_path,
    require_place_for_seeds,
)
from dqn_tf.support.errors import UserError

CONFIG = DQNConfig(seed=5)
SPACES = Spaces((4,), "float32", actions=2, action_start=1)
HOLD = """
import sys
from dqn_tf.run_files.run_directory import RunDirectory

run_dir = RunDirectory.open(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def made(path, config=CONFIG) -> RunDirectory:
    run = RunDirectory.create(str(path))
    run.write_config(config, SPACES, path / "export")
    return run


def test_the_configuration_comes_back(tmp_path):
    with made(tmp_path / "a") as run:
        assert run.read_config() == (CONFIG, SPACES, tmp_path / "a" / "export")


def test_a_moved_run_is_the_same_run(tmp_path):
    with made(tmp_path / "a"):
        pass
    shutil.move(tmp_path / "a", tmp_path / "b")
    with RunDirectory.open(tmp_path / "b") as run:
        assert run.read_config()[0] == CONFIG
        assert run.checkpoints == tmp_path / "b" / "checkpoints"


def test_without_a_name_the_directory_tells_environment_and_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunDirectory.create(default_path("mine:Maze-v0", 5)) as run:
        assert run.path.parts[:2] == ("runs", "Maze-v0") and run.path.name.endswith("-seed5")


def test_a_directory_that_holds_a_run_is_not_taken_for_another(tmp_path):
    path = tmp_path / "a run"
    with made(path):
        pass
    with pytest.raises(UserError, match=r"already holds a run. Choose another directory\.$"):
        RunDirectory.create(str(path))
    (path / "checkpoints" / "2000").mkdir(parents=True)
    with pytest.raises(UserError, match=f"already holds a run. Go on with --resume='{path}', or"):
        RunDirectory.create(str(path))


@pytest.mark.parametrize(
    "rest",
    [
        "metrics.csv",
        "evaluation.json",
        "learning_curve.png",
        "checkpoints/2000/",
        "tensorboard/events.out.tfevents.1.host/",
        "seed3/",
    ],
)
def test_nothing_of_another_run_is_taken_for_its_own(tmp_path, rest):
    path = tmp_path / rest
    if rest.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=f"has {rest.rstrip('/')} of another run in it: choose"):
        RunDirectory.create(tmp_path)
    assert path.exists()


def test_seeds_lie_beside_their_like_only(tmp_path):
    for seed in (1, 2):
        with made(tmp_path / "seeds" / f"seed{seed}", dataclasses.replace(CONFIG, seed=seed)):
            pass
    require_place_for_seeds(tmp_path / "seeds", dataclasses.replace(CONFIG, seed=9))
    other = dataclasses.replace(CONFIG, seed=9, gamma=0.5)
    with pytest.raises(
        UserError, match="in more than the seed .--gamma is 0.99 there and 0.5 here"
    ):
        require_place_for_seeds(tmp_path / "seeds", other)
    with made(tmp_path / "one"):
        pass
    with pytest.raises(UserError, match="already holds a run"):
        require_place_for_seeds(tmp_path / "one", CONFIG)


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="--run_dir=.*/a cannot be made a directory"):
        RunDirectory.create(str(tmp_path / "a"))
    with pytest.raises(UserError, match="there is no such directory"):
        RunDirectory.open(tmp_path / "a")


def test_only_run_directories_are_resumed(tmp_path):
    with pytest.raises(UserError, match="no config.json there"):
        RunDirectory.open(tmp_path)
    assert not list(tmp_path.iterdir()), "looking left something behind"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"config": 3}',
        '{"config": {"hidden_units": "256"}}',
        "\x00" * 40,
    ],
)
def test_an_unreadable_configuration_is_named(tmp_path, text):
    with made(tmp_path / "a") as run:
        (tmp_path / "a" / "config.json").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="config.json cannot be read"):
            run.read_config()


def test_a_second_process_is_kept_out_until_the_first_is_dead(tmp_path):
    with made(tmp_path / "a"):
        pass
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "a")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=f"in use by process {holder.pid} on {platform.node()}"):
            RunDirectory.open(tmp_path / "a")
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert (tmp_path / "a" / ".lock").read_text(encoding="utf-8").startswith(f"{holder.pid} "), (
        "the lock of a dead process"
    )
    with RunDirectory.open(tmp_path / "a"):
        assert (tmp_path / "a" / ".lock").read_text(
            encoding="utf-8"
        ) == f"{os.getpid()} on {platform.node()}"


def test_what_can_change_on_resume_is_reported():
    config, differences = changed_config(
        CONFIG, {"learning_rate": 1e-4, "total_steps": 70_000, "gamma": CONFIG.gamma}
    )
    assert config.learning_rate == 1e-4 and config.total_steps == 70_000 and config.seed == 5
    assert differences == [
        "--total_steps was 100000 and is now 70000",
        "--learning_rate was 0.0005 and is now 0.0001",
    ]


@pytest.mark.parametrize(
    ("overrides", "end"),
    [
        ({"learning_rate": 1e-6}, 1e-6),
        ({"learning_rate": 1e-4}, 1e-5),
        ({"learning_rate": 1e-6, "learning_rate_end": 1e-3}, 1e-3),
        ({"gamma": 0.5}, 1e-5),
    ],
)
def test_a_smaller_step_size_does_not_rise_to_the_end_that_is_recorded(overrides, end):
    before = dataclasses.replace(CONFIG, learning_rate_end=1e-5)
    config, differences = changed_config(before, overrides)
    assert config.learning_rate_end == end
    told = [phrase for phrase in differences if phrase.startswith("--learning_rate_end was 1e-05")]
    assert len(told) == (end != 1e-5)


def test_a_run_goes_on_without_workers_and_what_is_about_them():
    before = DQNConfig(workers=2, lag=1, ray_address="auto", accept_other_workers=True)
    config, _ = changed_config(before, {"workers": 0})
    assert (config.workers, config.ray_address, config.accept_other_workers) == (0, "", False)
    with pytest.raises(UserError, match="--ray_address is about workers"):
        changed_config(before, {"workers": 0, "ray_address": "auto"})


def test_what_cannot_change_is_refused_as_a_whole():
    with pytest.raises(UserError) as refusal:
        changed_config(CONFIG, {"env": "Acrobot-v1", "hidden_units": (8,), "learning_rate": 1.0})
    assert "--env was CartPole-v1 and is now Acrobot-v1" in str(refusal.value)
    assert "--hidden_units was 256,256 and is now 8" in str(refusal.value)
    assert "learning_rate" not in str(refusal.value) and "learning_rate" not in FIXED_ON_RESUME


def test_what_cannot_change_is_named_even_where_the_rest_does_not_fit():
    before = DQNConfig(data=("a.npz",), pretrain_updates=20)
    with pytest.raises(UserError, match="--data was a.npz and is now not given"):
        changed_config(before, {"data": ()})


def test_a_changed_value_is_checked():
    with pytest.raises(UserError, match="--gamma=2"):
        changed_config(CONFIG, {"gamma": 2.0})


@pytest.mark.parametrize("content", ["{}", "[]", "", "null", "[" * 100_000, '{"env_steps": "9"}'])
def test_a_report_that_is_none_does_not_count(tmp_path, content):
    run, said = RunDirectory(tmp_path), []
    assert run.read_evaluation(said.append) is None and not said
    run.evaluation.write_text(content, encoding="utf-8")
    assert run.read_evaluation(said.append) is None
    assert said == [f"warning: {run.evaluation} is not what a finished run writes, so it does"
                    " not count."]  # fmt: skip


@pytest.mark.parametrize("name", ["metrics.csv", "evaluation.json", "learning_curve.png"])
def test_a_directory_in_a_files_place_is_named(tmp_path, name):
    with made(tmp_path / "a"):
        pass
    (tmp_path / "a" / name).mkdir()
    with pytest.raises(UserError, match=f"{name} is a directory, and a file"):
        RunDirectory.open(tmp_path / "a")


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard"])
def test_a_file_in_a_directorys_place_is_named(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"{name} is a file, and a directory"):
        RunDirectory.create(tmp_path)


def test_a_moved_project_exports_to_where_it_is_now(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "old")
    with RunDirectory.create("runs/a") as run:
        run.write_config(CONFIG, SPACES, Path("saved_models/X"))
    assert run.read_config()[2] == tmp_path / "old" / "saved_models" / "X"
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    assert RunDirectory("new/runs/a").read_config()[2] == tmp_path / "new" / "saved_models" / "X"


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def fail(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_directory, "write_json", fail)
    with pytest.raises(UserError, match=r"config\.json cannot be written: No space left"):
        made(tmp_path / "a")
