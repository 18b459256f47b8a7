"""evaluate.py from flags to files, on small exports of real agents."""

import json
import os
import shutil
import subprocess
import sys
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation import flags as evaluate_flags
from dqn_tf.evaluation.episodes import evaluate
from dqn_tf.evaluation.exported_policy import ExportedPolicy
from dqn_tf.support.digits import return_text
from dqn_tf.support.errors import UserError
from sample_agents import export_untrained

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copied(models, tmp_path):
    """A Noise-v0 version of one's own, to be damaged."""
    return Path(shutil.copytree(models / "Noise-v0" / "1", tmp_path / "1"))


# What is refused, each in a sentence


@pytest.mark.parametrize(
    "words, sentence",
    [
        ([], r"^--model is missing: name an export"),
        (["--model=x", "--episodes=0"], r"^--episodes=0: must be at least 1\.$"),
        (["--model=x", "--seed=-1"], r"^--seed=-1: must be at least 0\.$"),
        (["--model=x", "--max_episode_steps=0"], r"^--max_episode_steps=0: must be at least 1\.$"),
        (["--model=x", "--epsilon=1.5"], r"^--epsilon=1\.5: must be from 0 to 1\.$"),
        (["--model=x", "--epsilon=nan"], r"^--epsilon=nan: must be from 0 to 1\.$"),
        (["--model=x", "--video=a.gif", "--video_episodes=0"], r"^--video_episodes=0"),
        (["--model=x", "--video_episodes=2"], r"^--video_episodes says what is recorded"),
        (["--model=x", "--env="], r"^--env is empty"),
        (["--model=x", "--episodes=many"], r"--episodes=many"),
        (["--model=x", "--epochs=3"], r"Unknown command line flag 'epochs'"),
        (["saved_models/x"], r"'saved_models/x' is not a flag"),
        (["--model=x", "--video=a.avi"], r"^--video=a\.avi: must end in \.gif or \.mp4\.$"),
        (
            ["--model=x", "--video=nowhere/a.gif"],
            r"^--video=nowhere/a\.gif cannot be written: there is no directory nowhere\.$",
        ),
        (
            ["--model=x", "--json=nowhere/a.json"],
            r"^--json=nowhere/a\.json cannot be written: there is no directory nowhere\.$",
        ),
        (["--model=x", "--json=/"], r"^--json=/ cannot be written: it is a directory\.$"),
        (["--model=x", "--video=a.gif", "--render"], r"^--render and --video exclude each other"),
        (["--compare", "a"], r"^--compare takes two models"),
        (["--compare"], r"^--compare takes two models"),
        (["--compare", "a", "b", "c"], r"'c' is not a flag"),
        (["--compare", "a", "b", "--model=c"], r"^--model and --compare exclude each other"),
        (["--compare", "a", "b", "--render"], r"^--render and --compare exclude each other"),
    ],
)
def test_a_wrong_flag_is_named(words, sentence, evaluate_py):
    with pytest.raises(UserError, match=sentence):
        evaluate_py(*words)


@pytest.mark.parametrize(
    "env, sentence",
    [
        (
            "Noise-shape-v0",
            r"does not fit Noise-shape-v0: it was made with observation_shape \[3\] for \[5\]",
        ),
        ("Noise-actions-v0", r"does not fit Noise-actions-v0: it was made with actions 2 for 3\.$"),
        ("Noise-start-v0", r"action_start 0 for 1"),
        ("Nowhere-v0", r"^--env=Nowhere-v0: "),
        ("Pendulum-v1", r"DQN needs a Discrete action space"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(models, env, sentence, evaluate_py):
    with pytest.raises(UserError, match=sentence):
        evaluate_py(f"--model={models / 'Noise-v0'}", f"--env={env}")


@pytest.mark.parametrize(
    "model, env, sentence",
    [
        (
            "Noise-v0",
            "Noise-shape-v0",
            r"takes observations of shape \[3\], and the environment gives \[5\]",
        ),
        ("Noise-v0", "Noise-actions-v0", r"chooses among 2 actions, and the environment has 3"),
        (
            "Noise-image-v0",
            "Noise-discrete-v0",
            r"takes observations of shape \[4, 4, 1\], and the environment gives \[\]",
        ),
    ],
)
def test_without_a_manifest_the_signature_decides(
    models, tmp_path, model, env, sentence, evaluate_py
):
    version = Path(
        shutil.copytree(
            models / model / "1", tmp_path / "1", ignore=shutil.ignore_patterns("assets.extra")
        )
    )
    with pytest.raises(UserError, match="name it with --env"):
        evaluate_py(f"--model={version}")
    with pytest.raises(UserError, match=sentence):
        evaluate_py(f"--model={version}", f"--env={env}")
    assert "training steps unknown" in evaluate_py(
        f"--model={version}", f"--env={model}", "--episodes=2"
    )


def test_another_kind_of_number_is_refused(models):
    spaces = registry.spaces(DQNConfig(env="Noise-image-v0"))
    floats = type(spaces)(spaces.observation_shape, "float32", spaces.actions)
    with pytest.raises(
        UserError, match="takes observations of type uint8, and the environment gives float32"
    ):
        ExportedPolicy(models / "Noise-image-v0" / "1", floats)


def test_two_models_of_different_environments_need_env(models, evaluate_py):
    with pytest.raises(
        UserError, match="was trained on CartPole-v1 and .* on Noise-v0; name the environment"
    ):
        evaluate_py("--compare", models / "CartPole-v1", models / "Noise-v0")


@pytest.mark.parametrize("damage", ["truncated", "no variables", "no index", "short variables"])
def test_a_broken_saved_model_is_named(copied, damage, evaluate_py):
    program, variables = copied / "saved_model.pb", copied / "variables"
    if damage == "truncated":
        program.write_bytes(program.read_bytes()[:700])
    elif damage == "no variables":
        shutil.rmtree(variables)
    elif damage == "no index":
        (variables / "variables.index").unlink()
    else:
        data = next(variables.glob("variables.data-*"))
        data.write_bytes(data.read_bytes()[:40])
    with pytest.raises(
        UserError, match=f"^{copied} cannot be loaded; the SavedModel is broken: "
    ) as error:
        evaluate_py(f"--model={copied}")
    assert "\n" not in str(error.value)


def test_a_damaged_manifest_is_named(copied, evaluate_py):
    (copied / "assets.extra" / "dqn_tf.json").write_text("{")
    with pytest.raises(UserError, match=r"dqn_tf\.json is damaged: it is not JSON"):
        evaluate_py(f"--model={copied}")


def test_a_saved_model_of_something_else_is_named(tmp_path, evaluate_py):
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path / "1"))
    with pytest.raises(UserError, match="has no signature serving_default"):
        evaluate_py(f"--model={tmp_path}", "--env=Noise-v0")
    module.double = tf.function(
        lambda x: {"y": 2 * x}, input_signature=[tf.TensorSpec((None,), name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "2"), signatures=module.double)
    with pytest.raises(
        UserError,
        match=r"serving_default takes \['x'\] and gives \['y'\]; it should take observation",
    ):
        evaluate_py(f"--model={tmp_path}", "--env=Noise-v0")


def test_an_environment_that_raises_is_named(models, evaluate_py):
    with pytest.raises(
        UserError,
        match=(
            r"^The environment raised RuntimeError in step\(\d\): the noise is too loud \(step 1 of"
        ),
    ):
        evaluate_py(f"--model={models / 'Noise-v0'}", "--env=Noise-raise-v0")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_json_file_that_cannot_be_written_is_named(models, evaluate_py, capsys):
    # a directory that takes no files
    with pytest.raises(UserError, match=r"^--json=/proc/scores\.json cannot be written: "):
        evaluate_py(f"--model={models / 'Noise-v0'}", "--episodes=1", "--json=/proc/scores.json")
    told = capsys.readouterr().out
    assert "version 1" in told and "Everything in" not in told, "what was played is not lost"


# What is played


@pytest.mark.parametrize("env", ["CartPole-v1", "Noise-v0", "Noise-image-v0", "Noise-discrete-v0"])
def test_the_served_policy_plays_as_the_agent_did(env, tmp_path):
    version, agent = export_untrained(env, tmp_path, seed=5)
    spaces, make, seeds = (
        agent.spaces,
        registry.maker(DQNConfig(env=env)),
        seeding.episode_seeds(1, seeding.TEST, 12),
    )
    live = evaluate(
        lambda observation, mask: (
            agent(tf.constant(observation)).numpy().argmax(axis=1) + spaces.action_start
        ),
        make,
        seeds,
    )
    served = evaluate(ExportedPolicy(version, spaces), make, seeds)
    assert (
        served.returns.tolist() == live.returns.tolist()
        and served.lengths.tolist() == live.lengths.tolist()
    )


def test_a_score_does_not_depend_on_how_many_are_played_together(models):
    policy, make = (
        ExportedPolicy(models / "CartPole-v1" / "1", registry.spaces(DQNConfig(env="CartPole-v1"))),
        registry.maker(DQNConfig(env="CartPole-v1")),
    )
    seeds = seeding.episode_seeds(0, seeding.TEST, 20)
    alone, few, many = (
        evaluate(policy, make, seeds, parallel=parallel).returns.tolist() for parallel in (1, 3, 32)
    )
    assert alone == few == many and len(set(alone)) > 1


def test_everything_is_in_the_json_file_and_is_the_same_each_time(models, tmp_path, evaluate_py):
    file, again = tmp_path / "scores.json", tmp_path / "again.json"
    printed = evaluate_py(
        f"--model={models / 'CartPole-v1'}", "--episodes=9", "--seed=4", f"--json={file}"
    )
    evaluate_py(
        f"--model={models / 'CartPole-v1' / '2'}", "--episodes=9", "--seed=4", f"--json={again}"
    )
    record, repeated = (json.loads(path.read_text()) for path in (file, again))
    assert record.pop("seconds") > 0 and repeated.pop("seconds") > 0
    assert record == repeated
    assert record["seeds"] == seeding.episode_seeds(4, seeding.TEST, 9) and {
        seed % 4 for seed in record["seeds"]
    } == {seeding.TEST}
    assert (
        record["env"] == "CartPole-v1"
        and record["version"] == 2
        and record["model"] == str(models / "CartPole-v1" / "2")
    )
    assert record["trained"]["env_steps"] == 1234 and len(record["trained"]["weights_sha256"]) == 64
    assert len(record["returns"]) == record["episodes"] == 9 and record["returns"] == [
        float(length) for length in record["lengths"]
    ]
    assert (
        record["mean"] == np.mean(record["returns"])
        and record["capped_episodes"] == 0
        and record["max_episode_steps"] == 27_000
    )
    for word in (
        "version 2",
        "1,234 steps",
        "9 episodes",
        "95 % interval",
        return_text(record["mean"]),
        return_text(record["iqm"]),
        "seconds",
        str(file),
    ):
        assert word in printed
    assert "Cut at" not in printed
    assert {path.name for path in tmp_path.iterdir()} == {"scores.json", "again.json"}


def test_another_seed_plays_other_episodes(models, tmp_path, evaluate_py):
    returns = []
    for seed in (0, 1):
        evaluate_py(
            f"--model={models / 'CartPole-v1'}",
            "--episodes=10",
            f"--seed={seed}",
            f"--json={tmp_path / 'a.json'}",
        )
        returns.append(json.loads((tmp_path / "a.json").read_text())["returns"])
    assert returns[0] != returns[1]


def test_random_actions_are_said_and_lower_the_score(models, tmp_path, evaluate_py):
    words = (f"--model={models / 'CartPole-v1'}", "--episodes=20", f"--json={tmp_path / 'a.json'}")
    assert "each action" not in evaluate_py(*words)
    greedy = json.loads((tmp_path / "a.json").read_text())
    printed = evaluate_py(*words, "--epsilon=0.9")
    assert "has, each action random with probability 0.9" in printed
    record = json.loads((tmp_path / "a.json").read_text())
    assert (greedy["epsilon"], record["epsilon"]) == (0.0, 0.9)
    assert record["seeds"] == greedy["seeds"] and record["returns"] != greedy["returns"]
    assert record["longest_mean"] < 200, "a pole falls by itself"


def test_the_step_cap_is_said(models, evaluate_py):
    printed = evaluate_py(f"--model={models / 'Noise-v0'}", "--episodes=5", "--max_episode_steps=2")
    assert "Cut at --max_episode_steps=2: 5 of 5 episodes" in printed


def test_two_models_are_compared_on_the_same_seeds(models, tmp_path, evaluate_py):
    file, base = tmp_path / "compared.json", models / "CartPole-v1"
    printed = evaluate_py("--compare", base / "1", base / "2", "--episodes=30", f"--json={file}")
    record = json.loads(file.read_text())
    difference = np.subtract(record["B"]["returns"], record["A"]["returns"])
    comparison = record["comparison"]
    assert (
        comparison["mean_difference"] == pytest.approx(difference.mean())
        and comparison["wins"] == (difference > 0).sum()
    )
    assert (
        record["A"]["version"] == 1 and record["B"]["version"] == 2 and len(record["seeds"]) == 30
    )
    for word in (
        comparison["verdict"],
        return_text(record["A"]["mean"]),
        return_text(record["B"]["mean"]),
        f"B won {comparison['wins']}",
    ):
        assert word in printed
    same = evaluate_py(f"--compare={base}", f"--compare={base / '2'}", "--episodes=7")
    assert "no difference shown by 7 episodes" in same and "B won 0, drew 7, lost 0" in same


def test_a_signal_ends_it_with_130_and_one_line(models, evaluate_py):
    printed = evaluate_py(
        f"--model={models / 'Noise-v0'}", "--env=Noise-interrupt-v0", "--episodes=1", status=130
    )
    assert printed == "Stopped before the evaluation was complete.\n"


# The command as a process

WRAPPED = """
import runpy, sys
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    with open({file!r}, "w") as file:
        file.write("\\n".join(sys.modules))
"""


def process(tmp_path, *words):
    """Runs evaluate.py; returns its exit status, stdout, stderr and the modules that it had loaded
    at its end.
    """
    loaded = tmp_path / "modules"
    program = WRAPPED.format(script=str(ROOT / "evaluate.py"), file=str(loaded))
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr, set(loaded.read_text().split())


def test_help_names_every_flag_without_tensorflow(tmp_path):
    status, out, err, modules = process(tmp_path, "--help")
    assert status == 0 and err == "" and "tensorflow" not in modules
    for name in evaluate_flags.EvaluateFlags._fields:
        assert f"\n  --{name}" in out
    assert "--episodes=100" in out and "--seed=0" in out and "--max_episode_steps=27000" in out


def test_a_model_for_another_environment_is_refused_without_tensorflow(tmp_path, models):
    status, out, err, modules = process(
        tmp_path, f"--model={models / 'CartPole-v1'}", "--env=MountainCar-v0"
    )
    assert status == 1 and out == "" and "tensorflow" not in modules
    assert (
        err.startswith("error: ")
        and "observation_shape [4] for [2], actions 2 for 3" in err
        and err.count("\n") == 1
    )


def test_the_whole_command_shows_its_own_lines_only_and_needs_no_agent(tmp_path, models):
    drawn = bool(util.find_spec("pygame"))
    status, out, err, modules = process(
        tmp_path,
        f"--model={models / 'run'}",
        "--episodes=3",
        *(["--video=play.gif"] if drawn else []),
    )
    assert (status, err) == (0, "")
    words = [line.split()[0] for line in out.splitlines() if line]
    assert words == [
        "CartPole-v1,",
        "3",
        "mean",
        "IQM",
        "std",
        "min",
        "max",
        "length",
        "seconds",
        *words[9:],
    ]
    assert ("frames of 1 episode in play.gif" in out.splitlines()[-1]) == drawn and len(
        words
    ) == 9 + drawn
    assert "tensorflow" in modules and not modules & {
        "dqn_tf.agent.dqn",
        "dqn_tf.agent.networks.q_network",
        "dqn_tf.export",
    }
