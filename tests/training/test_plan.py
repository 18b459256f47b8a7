"""dqn_tf.training.plan: where resumed runs go on, and where they export to."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import checkpoints
import logged_data
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.run_files.run_directory import RunDirectory
from dqn_tf.support.errors import UserError
from dqn_tf.training.flags import parse_training_flags
from dqn_tf.training.plan import prepare
from environments import Scripted


def stopped_runs(directory: Path) -> None:
    """Two seeds of one run, stopped after a checkpoint."""
    for seed in (3, 4):
        config = DQNConfig(seed=seed, engine="graph")
        with RunDirectory.create(directory / f"seed{seed}") as run:
            run.write_config(config, registry.spaces(config), run.path / "saved_model")
            checkpoints.save(run.checkpoints, 100)


def export_dirs(*words: str) -> list[Path]:
    plans = prepare(parse_training_flags(["train.py", *map(str, words)]))
    for plan in plans:
        plan.run_dir.__exit__(None, None, None)
    return [plan.export_dir for plan in plans]


def test_each_seed_has_an_export_directory_of_its_own(tmp_path):
    stopped_runs(tmp_path / "run")
    resume = f"--resume={tmp_path / 'run'}"
    assert export_dirs(resume) == [
        tmp_path / "run" / "seed3" / "saved_model",
        tmp_path / "run" / "seed4" / "saved_model",
    ]
    elsewhere = tmp_path / "elsewhere"
    assert export_dirs(resume, f"--export_dir={elsewhere}") == [
        elsewhere / "seed3",
        elsewhere / "seed4",
    ]
    assert export_dirs(f"{resume}/seed4", f"--export_dir={elsewhere}") == [elsewhere]
    (tmp_path / "run").rename(tmp_path / "moved")
    assert export_dirs(f"--resume={tmp_path / 'moved'}")[1] == (
        tmp_path / "moved" / "seed4" / "saved_model"
    )


@pytest.mark.parametrize(
    ("env", "network", "sentence"),
    [
        ("FrozenLake-v1", "transformer", r"it reads tokens \[T\], or .* observations are \[\]\."),
        ("CartPole-v1", "gru", r"it reads tokens \[T\], or .* observations are \[4\]\. Let a"),
        (
            "Integers-v0",
            "gru",
            r"it reads .* are \[3\]\. If these are tokens, name them: .* `tokens`",
        ),
        ("CartPole-v1", "nips_cnn", r"convolutions need observations of shape \[height, width"),
    ],
)
def test_a_network_that_cannot_see_is_refused_before_anything_is_said(
    env, network, sentence, tmp_path, capsys
):
    space = gym.spaces.Box(0, 4, (3,), np.int32)
    gym.register("Integers-v0", lambda: Scripted(np.zeros(3, np.int32), space=space))
    words = [f"--env={env}", f"--network={network}", f"--run_dir={tmp_path / 'run'}"]
    with pytest.raises(UserError, match=f"--network={network}: {sentence}"):
        prepare(parse_training_flags(["train.py", *words, f"--export_dir={tmp_path / 'export'}"]))
    assert capsys.readouterr().out == "" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--env=CartPole-v1"], "Here observations are no tokens, [4] float32"),
        (
            ["--env=dqn_tf/TextMaze-v0", "--data=env", "--offline_updates=10"],
            "--data=env: episode 1 (its first step is row 0) has the observation [7, ",
        ),
    ],
    ids=["numbers", "logged texts told anew"],
)
def test_what_cannot_be_whole_episodes_is_refused_and_nothing_is_written(
    words, sentence, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    flags = parse_training_flags(["train.py", *words, "--replay_unit=episode", "--run_dir=run"])
    with pytest.raises(UserError) as error:
        prepare(flags)
    assert sentence in str(error.value) and "--replay_unit=transition" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_cannot_be_imported_is_refused_and_nothing_is_written(tmp_path):
    words = ["--auxiliary_losses=own_losses:nothing=0.1", f"--run_dir={tmp_path / 'run'}"]
    with pytest.raises(UserError, match="own_losses has nothing named 'nothing'"):
        prepare(parse_training_flags(["train.py", *words]))
    assert not (tmp_path / "run").exists()


def test_an_environments_own_data_are_planned_and_told(tmp_path, capsys):
    words = ["--env=dqn_tf/GraphWalk-v0", "--data=env", "--replay_unit=episode"]
    words += ["--offline_updates=10", f"--run_dir={tmp_path / 'run'}"]
    (plan,) = prepare(parse_training_flags(["train.py", *words, f"--export_dir={tmp_path / 's'}"]))
    plan.run_dir.__exit__(None, None, None)
    assert plan.logged[0].episodes.count == 8_000
    told = capsys.readouterr().out
    assert "--data=env: 8,000 episodes, " in told and "20,000 episodes of 448 bytes" in told


@pytest.mark.parametrize("name", ["cql_alpha", "support", "imitation"])
def test_what_no_drawn_row_would_teach_is_refused(name, tmp_path):
    words = ["--env=dqn_tf/GraphWalk-v0", "--data=env", "--offline_updates=0", "--data_share=0"]
    words += ["--pretrain_updates=0", f"--{name}=0.1", f"--run_dir={tmp_path / 'run'}"]
    flags = parse_training_flags(["train.py", *words, f"--export_dir={tmp_path / 's'}"])
    with pytest.raises(UserError, match=f"--{name} is about .* give a --data_share above 0, or"):
        prepare(flags)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("ends", "words", "sentence"),
    [
        ([], ["--offline_updates=5"], "each episode is one step, which is cut"),
        ([], ["--total_steps=0", "--offline_updates=5", "--prioritized"], "each episode is one"),
        ([], ["--data_share=0.5"], "each episode is one step"),
        ([], ["--pretrain_updates=5"], "each episode is one step"),
        ([2], ["--pretrain_updates=5"], "1 of its 3 episodes are held out"),
        ([2], ["--offline_updates=5"], ""),
        ([], ["--data_share=0"], ""),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_data_with_nothing_to_learn_from(kind, ends, words, sentence, tmp_path, monkeypatch):
    """Three episodes of a step, of which these terminated; the last one is held out."""
    monkeypatch.chdir(tmp_path)
    write = {"csv": logged_data.write_csv, "npz": logged_data.write_npz}[kind]
    path = write(
        tmp_path / f"a.{kind}",
        {
            "observation": np.zeros((3, 4), np.float32),
            "action": np.array([0, 1, 0]),
            "reward": np.ones(3),
            "terminated": np.isin(np.arange(3), ends),
            "truncated": np.zeros(3, bool),
            "episode": np.arange(3),
        },
    )
    words = ["--env=CartPole-v1", f"--data={path.name}", *words, "--run_dir=run"]
    flags = parse_training_flags(["train.py", *words])
    if not sentence:
        (plan,) = prepare(flags)
        plan.run_dir.__exit__(None, None, None)
        return
    with pytest.raises(UserError, match=rf"^--data={path.name}: {sentence}"):
        prepare(flags)
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{kind}"]


def test_logged_data_that_are_too_few_are_refused_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    episode = logged_data.columns() | {"episode": np.zeros(5, int)}
    ends = {"terminated": np.arange(5) == 4, "truncated": np.zeros(5, bool)}
    observation = np.zeros((5, 4), np.float32)
    logged_data.write_npz(
        tmp_path / "one.npz",
        episode | ends | {"observation": observation, "action": np.array([0, 1, 0, 1, 0])},
    )
    words = ["--env=CartPole-v1", "--data=one.npz", "--pretrain_updates=5", "--run_dir=run"]
    with pytest.raises(UserError, match=r"^--data=one\.npz: it holds a single episode"):
        prepare(parse_training_flags(["train.py", *words]))
    words = ["--env=CartPole-v1", "--data=one.npz@0.999", "--data=./one.npz@0.001"]
    with pytest.raises(UserError, match=r"^--data=\./one\.npz: its share of 0\.001 of 32 rows"):
        prepare(parse_training_flags(["train.py", *words, "--run_dir=run"]))
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]
