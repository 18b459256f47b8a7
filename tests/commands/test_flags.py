"""dqn_tf.training.flags and train.py:

what is typed, what is answered, and that a mistake is answered without loading TensorFlow.
"""

import dataclasses
import os
import re

import pytest

from command_server import ROOT, SUPPORT, interpreter, refusal, run
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from small_runs import SMALL, arguments, small_run

# Runs train.py in a fresh interpreter, then tells which heavy packages it had to load.
PROBE = """
import atexit, runpy, sys
HEAVY = {"tensorflow", "keras", "scipy", "matplotlib"}
atexit.register(lambda: print("LOADED", *sorted(HEAVY & set(sys.modules)), file=sys.stderr))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
OURS = re.compile(
    r"|".join(
        [
            r"",
            r"Replay memory: .*",
            r"Network: mlp \(chosen by --network=auto\) for 2 numbers\.",
            r"Training on .*, seed 3, from step 0 in .*",
            r"step [\d,]+ of [\d,]+: .*",
            r"step [\d,]+: greedy return .*",
            r"best of \d+ finalists: step [\d,]+, greedy return .* further episodes",
            r"my_maze:Corridor-v0: 400 steps, 168 updates, \d+ s\.",
            r"Score of the .*",
            r"\(The SavedModel holds .*",
            r"That is no better than its first 20 episodes, .* What to try:",
            r"  python -m dqn_tf\.doctor --env=.*",
            r"  --total_steps=100000",
            r"  --epsilon_decay_env_steps=\d+",
            r"  --n_step=3 --double",
            r"weights_sha256 [0-9a-f]{64}",
            r"Run directory   .*",
            r"Learning curve  .*",
            r"SavedModel      .*",
            r"Next:",
            r"  python evaluate.py --model=.*",
            r"  tensorboard --logdir=.*",
        ]
    )
)


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    done = interpreter(
        "-c", PROBE, ROOT / "train.py", "--help", cwd=tmp_path_factory.mktemp("help")
    )
    assert done.returncode == 0 and done.stderr == "LOADED\n", done.stderr
    return done.stdout


def test_help_lists_every_field_with_default_unit_and_source(page):
    preset = presets.PRESETS["CartPole-v1"]
    config = DQNConfig(**{"env": "CartPole-v1"} | preset.plain | preset.recommended)
    words = " ".join(page.split())
    for field in dataclasses.fields(DQNConfig):
        value = getattr(config, field.name)
        entry = f"--{field.name}" + (f"={show(value)}" if value not in (None, "", ()) else "")
        assert re.search(rf"^  {re.escape(entry)}(  \[|$)", page, re.MULTILINE), entry
        assert " ".join(field.metadata["help"].split()) in words
        for told in (field.metadata["unit"], field.metadata["source"]):
            assert told in words
        if field.metadata["unit"]:
            assert f"{entry} [{field.metadata['unit']}]" in words


def test_every_flag_of_the_help_page_is_real(page, tmp_path):
    names = re.findall(r"^  --(\w+)", page, re.MULTILINE)
    assert len(names) == len(set(names)) and {
        "run_dir",
        "export_dir",
        "resume",
        "refill_replay",
        "on_checkpoint_error",
        "verbose",
    } <= set(names)
    # A value that no flag takes is complained of by name; an unknown flag would be called unknown.
    for name in names:
        sentence = refusal([f"--{name}=", "--batch_size=0"], tmp_path)
        assert "Unknown" not in sentence, sentence
    assert "Unknown command line flag 'gama'" in refusal(["--gama=1"], tmp_path)


def test_help_shows_the_values_of_the_environment_asked_for(tmp_path):
    status, text = run(["--help", "--env=Acrobot-v1"], tmp_path)
    assert (
        status == 0
        and "--env=Acrobot-v1" in text
        and f"--total_steps={DQNConfig.total_steps}" in text
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gamma=2"], "--gamma=2.0: must be from 0.0 to 1.0."),
        (["--env=NoSuch-v0"], "--env=NoSuch-v0"),
        (["--env=faulty:RaisesInConstructor-v0"], "no simulator found"),
        (["--env=faulty:BoxActions-v0"], "DQN needs a Discrete action space"),
        (["--resume=nowhere"], "--resume=nowhere: there is no such directory."),
    ],
)
def test_a_mistake_is_answered_without_tensorflow_and_leaves_nothing(tmp_path, words, said):
    done = interpreter("-c", PROBE, ROOT / "train.py", *words, cwd=tmp_path)
    error, loaded = done.stderr.splitlines()
    assert (
        done.returncode == 1
        and done.stdout == ""
        and error.startswith("error: ")
        and said in error
        and loaded == "LOADED"
    )
    assert not os.listdir(tmp_path)


def test_verbose_shows_where_an_error_came_from(tmp_path):
    for word in ("--verbose", "--verbose=true"):
        status, text = run(["--gamma=2", word], tmp_path)
        assert status == 1 and "Traceback" in text and "UserError: --gamma=2.0" in text


def test_a_users_own_environment_runs_end_to_end_and_only_our_lines_are_printed(tmp_path):
    """A process of its own, its output piped, and the module with the environment only in its
    working directory.
    """
    (tmp_path / "my_maze.py").write_bytes((SUPPORT / "faulty.py").read_bytes())
    done = interpreter(
        ROOT / "train.py",
        *small_run(tmp_path, env="my_maze:Corridor-v0"),
        cwd=tmp_path,
        PYTHONPATH=str(ROOT),
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert [line for line in done.stdout.splitlines() if not OURS.fullmatch(line)] == []
    assert "steps/s" in done.stdout and "SavedModel      " in done.stdout
    assert (tmp_path / "export" / "1" / "saved_model.pb").exists() and (
        tmp_path / "run" / "learning_curve.png"
    ).exists()


def test_without_run_dir_and_export_dir_everything_lies_under_the_working_directory(tmp_path):
    words = arguments(**SMALL)
    status, text = run(words, tmp_path, FAULTY='{"moment": "training", "count": 10, "signal": 15}')
    assert status == 143, text
    (directory,) = (tmp_path / "runs" / "Corridor-v0").iterdir()
    assert f"--resume=runs/Corridor-v0/{directory.name}" in text
