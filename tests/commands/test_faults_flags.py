"""Faults of flags (faults.md).

Whatever is wrong before the first step ends with one sentence, and nothing is left behind.
"""

import json
import os
import re
import subprocess

import pytest

from command_server import refusal, run
from small_runs import small_run


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        # out of range
        ({"gamma": 1.5}, "--gamma=1.5"),
        ({"gamma": "nan"}, "--gamma=nan"),
        ({"learning_rate": 0}, "--learning_rate=0.0"),
        ({"learning_rate": "nan"}, "--learning_rate=nan"),
        ({"epsilon_end": -0.5}, "--epsilon_end=-0.5"),
        ({"total_steps": -1}, "--total_steps=-1"),
        ({"batch_size": 0}, "--batch_size=0"),
        # contradictions
        ({"batch_size": 301}, "--batch_size=301 is more than --replay_capacity=300"),
        ({"warmup_env_steps": 15}, "--warmup_env_steps=15 must be at least --batch_size=16"),
        ({"warmup_env_steps": 400}, "--warmup_env_steps=400 must be below --total_steps=400"),
        # unknown, empty, of another type
        ({"gama": 0.9}, "gama"),
        ({"env": ""}, "--env=: must be a Gymnasium id"),
        ({"batch_size": "many"}, "batch_size"),
        ({"gamma": "high"}, "gamma"),
        ({"hidden_units": "8,wide"}, "--hidden_units=8,wide"),
        ({"refill_replay": "perhaps"}, "refill_replay"),
        ({"on_checkpoint_error": "shrug"}, "on_checkpoint_error"),
        # seeds
        ({"seed": -1}, "--seed=-1: must be from 0 to 4294967295"),
        ({"seed": 2**32}, "--seed=4294967296"),
        ({"seed": 1.5}, "seed"),
        # what does not go together
        (
            {"engine": "graph"},
            "--engine=graph runs what is written in TensorFlow, which is CartPole-v1,",
        ),
        ({"engine": "graph", "env": "CartPole-v1", "noisy": True}, "--engine=graph has no --noisy"),
        (
            {"engine": "graph", "env": "CartPole-v1", "prioritized": True},
            "--engine=graph has no --prioritized",
        ),
        ({"engine": "graf"}, "--engine=graf: must be one of host, graph"),
        ({"sticky_actions": 0.0}, "--sticky_actions is of the protocol of Atari games"),
        ({"num_envs": 301}, "--num_envs=301 is more than --replay_capacity=300"),
    ],
)
def test_a_bad_flag_is_named_in_one_line(tmp_path, flags, said):
    assert said in refusal(small_run(tmp_path, **flags), tmp_path)
    assert not (tmp_path / "run").exists() and not (tmp_path / "export").exists()


def test_a_stray_word_is_named(tmp_path):
    assert "'CartPole-v1' is not a flag" in refusal(["CartPole-v1"], tmp_path)


def test_a_seed_not_given_is_drawn_printed_and_saved(tmp_path):
    seeds = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        status, text = run(
            small_run(tmp_path / name, seed=None),
            tmp_path,
            FAULTY='{"moment": "training", "count": 1, "signal": 15}',
        )
        assert status == 143, text
        saved = json.loads((tmp_path / name / "run" / "config.json").read_text(encoding="utf-8"))[
            "config"
        ]["seed"]
        assert f"seed {saved}," in text and 0 <= saved < 2**32
        seeds.append(saved)
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("NoSuch-v0", "`NoSuch` doesn't exist"),
        ("CartPolle-v1", "CartPole"),
        ("CartPole-v99", "`v1`"),
        ("LunarLander-v2", "LunarLander-v3"),
        ("Nobody/Game-v0", "namespace Nobody"),
        ("no_such_module:Maze-v0", "no module named 'no_such_module'"),
        ("faulty:NoSuch-v0", "`NoSuch` doesn't exist"),
    ],
)
def test_an_unknown_environment_is_named_with_gymnasiums_suggestion(tmp_path, env, said):
    sentence = refusal(small_run(tmp_path, env=env), tmp_path)
    assert f"--env={env}" in sentence and said in sentence


@pytest.mark.parametrize(
    ("env", "module", "line"),
    [
        ("LunarLander-v3", "Box2D", 'pip install "gymnasium[box2d]"'),
        ("Ant-v5", "mujoco", 'pip install "gymnasium[mujoco]"'),
        ("ALE/Pong-v5", "ale_py", "pip install ale-py"),
        ("MinAtar/Breakout-v1", "minatar", "pip install minatar"),
    ],
)
def test_a_missing_extra_ends_with_the_line_to_type(tmp_path, env, module, line):
    sentence = refusal(small_run(tmp_path, env=env), tmp_path, NOT_INSTALLED=module)
    assert f"--env={env}" in sentence and sentence.endswith(f"Type: {line}")


@pytest.mark.parametrize(
    ("module", "env"), [("ale_py", "ALE/Pong-v5"), ("minatar", "MinAtar/Breakout-v1")]
)
def test_an_installed_extra_is_registered(tmp_path, module, env):
    pytest.importorskip(module)
    status, text = run(small_run(tmp_path, env=env, total_steps=65), tmp_path)
    assert status == 0, text


def test_what_does_not_fit_into_memory_is_refused_with_the_estimate(tmp_path):
    sentence = refusal(
        small_run(tmp_path, env="faulty:Pixels-v0", replay_capacity=100_000_000), tmp_path
    )
    assert re.search(
        r"--replay_capacity=100000000 does not fit into memory: 100,000,000 transitions of 56,\d+"
        r" bytes, [\d.]+ GiB of "
        r"[\d.]+ GiB free\. At most [\d,]+ would\.",
        sentence,
    ), sentence
    assert not (tmp_path / "run").exists()


def test_the_estimate_is_printed_up_front(tmp_path):
    status, text = run(small_run(tmp_path, env="faulty:NaNObservation-v0"), tmp_path)
    assert status == 1 and text.startswith(
        "Replay memory: 300 transitions of 28 bytes, 8.2 KiB of "
    )


@pytest.fixture
def read_only(tmp_path):
    """A directory that nobody can write to; root neither, if it can mount."""
    path = tmp_path / "read_only"
    path.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "none", str(path)],
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )
    if not mounted:
        if os.getuid() == 0:
            pytest.skip("root, but cannot mount: nothing is read-only to it")
        path.chmod(0o555)
    yield path
    if mounted:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("name", ["run_dir", "export_dir"])
def test_a_directory_that_cannot_be_written_is_named(tmp_path, read_only, name):
    for path in (read_only, read_only / "below"):
        sentence = refusal(small_run(tmp_path, **{name: path}), tmp_path)
        assert str(path) in sentence
    assert not (tmp_path / "export").exists() and (
        name == "run_dir" or not (tmp_path / "run").exists()
    )


@pytest.mark.parametrize("name", ["run_dir", "export_dir"])
def test_a_file_where_a_directory_is_needed_is_named(tmp_path, name):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert f"--{name}={path}" in refusal(small_run(tmp_path, **{name: path}), tmp_path)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "export").exists() and (
        name == "run_dir" or not (tmp_path / "run").exists()
    )
