"""dqn_tf.evaluate, load_policy and export_policy: what the commands do, as functions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from dqn_tf import DQN, DQNConfig, UserError, compare, evaluate, export_policy, load_policy
from dqn_tf.evaluation.find_export import MANIFEST
from dqn_tf.support.digits import return_text


@pytest.fixture(scope="module")
def agent() -> DQN:
    """A small untrained agent."""
    return DQN(DQNConfig(env="CartPole-v1", seed=5, hidden_units=(8,)))


def test_the_scores_are_those_of_evaluate_py(models, tmp_path, evaluate_py):
    for seed in (0, 7):
        file = tmp_path / f"{seed}.json"
        evaluate_py(
            f"--model={models / 'CartPole-v1'}", "--episodes=6", f"--seed={seed}", f"--json={file}"
        )
        written = json.loads(file.read_text(encoding="utf-8"))
        scores = evaluate(models / "CartPole-v1", episodes=6, seed=seed)
        assert scores.returns.tolist() == written["returns"] and scores.seeds == written["seeds"]
        assert (scores.mean, scores.mean_ci95) == (written["mean"], written["mean_ci95"])
        assert (scores.iqm, scores.iqm_ci95) == (written["iqm"], written["iqm_ci95"])
        assert str(scores).startswith(f"mean {return_text(scores.mean)} [")


def test_a_path_a_policy_and_a_function_play_the_same_episodes(models):
    policy = load_policy(models / "CartPole-v1")
    scores = evaluate(str(models / "CartPole-v1"), episodes=5)
    for other in (
        evaluate(policy, episodes=5),
        evaluate(policy, DQNConfig(env="CartPole-v1"), episodes=5),
        evaluate(lambda observation, mask: policy(observation), "CartPole-v1", episodes=5),
    ):
        assert other.returns.tolist() == scores.returns.tolist()
        assert compare(scores, other)["ties"] == 5


def test_an_agent_scores_as_its_export_does(agent, tmp_path):
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    version = export_policy(agent, tmp_path, observations, env_steps=123)
    assert version == tmp_path / "1"
    scores, exported = evaluate(agent, episodes=5), evaluate(version, episodes=5)
    assert scores.returns.tolist() == exported.returns.tolist()
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["env"] == "CartPole-v1" and manifest["env_steps"] == 123
    assert manifest["observation_range"]["observations"] == 50 and manifest["score"] is None


def test_an_agent_is_exported_without_observations_too(agent, tmp_path):
    version = export_policy(agent, tmp_path)
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    assert "observation_range" not in manifest, "made-up observations are no range of training"
    assert load_policy(version)(np.zeros((3, 4), np.float32)).shape == (3,)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"observations": np.zeros(4)}, r"observations must be \[n, 4\], and are \[4\]"),
        ({"observations": np.zeros((7, 3))}, r"observations must be \[n, 4\], and are \[7, 3\]"),
        ({"observations": [[0.0] * 3]}, r"observations must be \[n, 4\], and are \[1, 3\]"),
        ({"observations": [[0.0, np.nan, 0.0, 0.0]]}, "must be finite numbers, and are .*nan"),
        ({"observations": [["a"] * 4]}, "must be finite numbers, and are "),
        ({"formats": "pickle"}, "formats=pickle: 'pickle' is none of savedmodel, tflite, onnx"),
        ({"formats": "tflite"}, "formats=tflite: savedmodel must be among them"),
    ],
)
def test_what_cannot_be_exported_is_refused(agent, tmp_path, changes, sentence):
    with pytest.raises(UserError, match=sentence):
        export_policy(agent, tmp_path / "version", **changes)
    assert not (tmp_path / "version").exists()


def test_observations_may_be_a_list(agent, tmp_path):
    version = export_policy(agent, tmp_path, [[0.0, 0.1, 0.2, 0.3]], formats="savedmodel")
    assert load_policy(version)(np.zeros((3, 4), np.float32)).shape == (3,)


def test_one_agent_of_several_is_exported(tmp_path):
    config = DQNConfig(env="CartPole-v1", seed=1, hidden_units=(8,))
    together, alone = DQN(config, num_agents=2), DQN(config)
    together.compile()
    alone.compile()
    with pytest.raises(UserError, match="A version is of one agent, and here are 2"):
        export_policy(together, tmp_path)
    alone.load_arrays(together.arrays(1))
    assert export_policy(alone, tmp_path) == tmp_path / "1"


def test_what_cannot_be_played_is_refused(agent, models):
    for arguments, sentence in (
        ((lambda observation, mask: observation,), "name it, as env="),
        ((agent, "Acrobot-v1"), "made for CartPole-v1, and Acrobot-v1 has other spaces"),
        ((models / "CartPole-v1", "Acrobot-v1"), "does not fit Acrobot-v1"),
        (("nowhere",), "nowhere: there is no such directory"),
        ((agent, "NoSuch-v0"), "NoSuch-v0"),
    ):
        with pytest.raises(UserError, match=sentence):
            evaluate(*arguments)


# --- what is no action ----------------------------------------------------------------------------


def foreign_model(path: Path, action: tf.Tensor) -> Path:
    """A SavedModel by another hand for CartPole, which answers each observation with `action`."""
    module = tf.Module()

    def serve(observation: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(observation)[0]
        return {
            "action": tf.repeat(action[tf.newaxis], rows, axis=0),
            "q_values": tf.zeros((rows, 2)),
        }

    spec = tf.TensorSpec((None, 4), name="observation")
    module.serve = tf.function(serve, input_signature=[spec])
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return path


@pytest.mark.parametrize(
    "action, sentence",
    [
        (tf.constant(7, tf.int64), "chose the action 7, .* has those from 0 to 1"),
        (
            tf.constant(-1, tf.int64),
            "chose the action -1, .* has those from 0 to 1",
        ),
        (
            tf.constant(0.0),
            r"returned float32 \[2\] for 2 observations: it must return as many",
        ),
        (tf.constant([0], tf.int64), r"returned int64 \[2, 1\] for 2 observations"),
    ],
    ids=str,
)
def test_what_a_foreign_model_answers_is_no_action(tmp_path, action, sentence):
    model = foreign_model(tmp_path / "1", action)
    with pytest.raises(UserError, match=f"^{model} {sentence}"):
        evaluate(model, "CartPole-v1", episodes=2)


def test_actions_that_a_manifest_does_not_name_are_refused(models, tmp_path):
    version = shutil.copytree(models / "CartPole-v1" / "1", tmp_path / "1")
    manifest = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
    manifest["spaces"]["action_start"] = 5
    (version / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(UserError, match="chose the action [01], .* has those from 5 to 6"):
        load_policy(version)(np.zeros((3, 4), np.float32))
    policy = load_policy(models / "CartPole-v1" / "1")
    assert policy(np.zeros((0, 4), np.float32)).shape == (0,)
    with pytest.raises(UserError, match="takes no mask: its environment gave none when it was"):
        policy(np.zeros((2, 4), np.float32), np.ones((2, 2), bool))
    with pytest.raises(UserError, match=r"failed on observations of shape \[2, 5\]: ") as error:
        policy(np.zeros((2, 5), np.float32))
    assert not str(error.value).endswith("Graph execution error:")


@pytest.mark.parametrize(
    "answer, sentence",
    [
        ([2, 0], "chose the action 2, .* has those from 0 to 1"),
        ([0], r"returned int64 \[1\] for 2 observations"),
        ([[0], [1]], r"returned int64 \[2, 1\] for 2 observations"),
        ([0.0, 1.0], r"returned float64 \[2\] .* whole numbers, its actions from 0 to 1"),
        (None, r"returned object \[\] for 2 observations"),
    ],
    ids=str,
)
def test_what_a_function_answers_is_no_action(answer, sentence):
    with pytest.raises(UserError, match=f"The policy {sentence}"):
        evaluate(lambda observation, mask: answer, "CartPole-v1", episodes=2)
