"""The same code under the Keras 2 that TF_USE_LEGACY_KERAS=1 asks for, from training to a model
that a Keras 3 process plays.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from command_server import ROOT, interpreter
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.support import tensorflow_loading
from dqn_tf.support.errors import UserError
from small_runs import SMALL, report, small_run

# dueling and noisy are parts of Rainbow
RUNS = {"plain": {"total_steps": 200}, "rainbow": {"total_steps": 200, "rainbow": "true"}}
# Loads TensorFlow once, and forks before it has run anything: each command is a child. So are,
# beside them, the tests of what a Keras user expects.
PROGRAM = """
import json, os, runpy, sys
from dqn_tf.support import tensorflow_loading as quiet
quiet.load_tensorflow()
import pytest
import tensorflow as tf
assert tf.keras.Model.__module__.startswith("tf_keras")
from dqn_tf.training import trainer
from dqn_tf.evaluation import exported_policy as served
def child(program, *words):
    number = os.fork()
    if number == 0:
        sys.exit(program(*words))
    return number
def command(*words):
    sys.argv = list(words)
    runpy.run_path(words[0], run_name="__main__")
def tests(root):
    os.chdir(root)
    options = ["-n0", "-p", "no:cacheprovider", "--tb=short", "--durations=0"]
    sequences = [
        "tests/agent/test_sequences.py::test_" + name
        for name in (
            "the_features_are_those_by_hand",
            "the_gradient_reaches_every_weight",
            "keras_saves_it_and_loads_it_again",
        )
    ]
    language = "tests/agent/test_pretrained_torso.py::test_what_learns_and_what_the_target_copies"
    return pytest.main([*options, "tests/agent/test_keras.py", *sequences, language])
def status(number):
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
beside = child(tests, sys.argv[2])
for words in json.loads(sys.argv[1]):
    if status(child(command, *words)):
        sys.exit(f"failed: {words}")
sys.exit(status(beside))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("tf_keras") is None,
    reason="Keras 2 is not installed: pip install tf-keras",
)
def test_train_resume_export_evaluate_and_all_that_keras_users_expect(tmp_path):
    commands = [["train.py", *small_run(tmp_path / name, **flags)] for name, flags in RUNS.items()]
    commands += [
        [
            "train.py",
            f"--resume={tmp_path / 'plain' / 'run'}",
            f"--export_dir={tmp_path / 'plain' / 'export'}",
            "--total_steps=300",
        ],
        [
            "evaluate.py",
            f"--model={tmp_path / 'rainbow' / 'export'}",
            "--episodes=3",
            f"--json={tmp_path / 'scores.json'}",
        ],
    ]
    commands = [[str(ROOT / script), *words] for script, *words in commands]
    done = interpreter(
        "-c",
        PROGRAM,
        json.dumps(commands),
        ROOT,
        cwd=tmp_path,
        patience=280,
        TF_USE_LEGACY_KERAS="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in RUNS:
        found = report(tmp_path / name)
        assert found["updates"] > 0
        policy = ExportedPolicy(Path(found["export"]), registry.spaces(DQNConfig(env=SMALL["env"])))
        seeds = seeding.episode_seeds(found["seed"], seeding.TEST, SMALL["test_episodes"])
        # in this process, under Keras 3
        played = evaluate(policy, registry.maker(DQNConfig(env=SMALL["env"])), seeds)
        assert played.lengths.mean() == pytest.approx(found["score"]["mean_length"]), name
    assert report(tmp_path / "plain")["env_steps"] == 300
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))


def test_keras_2_that_is_not_installed(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="Type: pip install tf-keras"):
        tensorflow_loading.load_tensorflow()
