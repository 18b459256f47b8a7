"""evaluate.py --data: from flags to a table and a JSON file, without an environment's step."""

import json

import numpy as np
import pytest

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.evaluation.find_export import MANIFEST
from dqn_tf.evaluation.off_policy.estimators import NAMES
from dqn_tf.export.publish import export
from dqn_tf.support.errors import UserError
from sample_agents import KINDS, export_untrained, observations, variant


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained agent for CartPole."""
    directory = tmp_path_factory.mktemp("model") / "CartPole-v1"
    export_untrained("CartPole-v1", directory)
    return directory


def write(path, episodes=30, **columns):
    """Logged play at random: 4 steps each."""
    generator = np.random.default_rng(0)
    rows = 4 * episodes
    np.savez(
        path,
        observation=generator.normal(size=(rows, 4)).astype(np.float32),
        action=generator.integers(0, 2, rows),
        reward=np.ones(rows, np.float32),
        terminated=np.arange(rows) % 4 == 3,
        truncated=np.zeros(rows, bool),
        episode=np.arange(rows) // 4,
        **columns,
    )
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """With the propensities."""
    path = tmp_path_factory.mktemp("data") / "play.npz"
    return write(path, propensity=np.full(120, 0.5))


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--episodes=3"], r"^--data and --episodes exclude each other: logged episodes are not"),
        (["--video=a.gif"], r"^--data and --video exclude each other"),
        (["--render"], r"^--data and --render exclude each other"),
        (["--seed=0"], r"^--data and --seed exclude each other"),
        (["--gamma=0"], r"^--gamma=0: must be above 0 and at most 1\.$"),
        (["--gamma=1.5"], r"^--gamma=1\.5: must be above 0"),
        (["--gamma=nan"], r"^--gamma=nan: must be above 0"),
        (["--gamma=much"], r"--gamma=much: must be a number"),
        (["--epsilon=2"], r"^--epsilon=2\.0: must be from 0 to 1\.$"),
        (["--epsilon=-0.1"], r"^--epsilon=-0\.1: must be from 0 to 1\.$"),
    ],
)
def test_a_wrong_flag_is_named(words, sentence, evaluate_py):
    with pytest.raises(UserError, match=sentence):
        evaluate_py("--model=x", "--data=x.npz", *words)


def test_two_models_are_not_compared_on_data(evaluate_py):
    with pytest.raises(UserError, match=r"^--data and --compare exclude each other"):
        evaluate_py("--compare", "a", "b", "--data=x.npz")


def test_a_discount_needs_data(evaluate_py):
    with pytest.raises(UserError, match=r"^--gamma needs --data"):
        evaluate_py("--model=x", "--gamma=0.5")


def test_data_that_are_none_are_named(model, data, evaluate_py, tmp_path):
    with pytest.raises(UserError, match=r"^--data=nowhere\.npz: there is no such file"):
        evaluate_py(f"--model={model}", "--data=nowhere.npz")
    with pytest.raises(UserError, match=r"^--data=env: --env=\S+ has no data of its own"):
        evaluate_py(f"--model={model}", "--data=env")
    with pytest.raises(UserError, match=r"a share is of a training's batches; .* --data=\S+\.npz"):
        evaluate_py(f"--model={model}", f"--data={data}@0.3")
    export_untrained("MountainCar-v0", tmp_path)
    with pytest.raises(UserError, match=r"play\.npz, column observation"):
        evaluate_py(f"--model={tmp_path}", f"--data={data}")


def test_a_table_and_a_json_file(model, data, evaluate_py, tmp_path, monkeypatch):
    for method in ("reset", "step", "begin_step"):
        monkeypatch.setattr(CheckedEnv, method, None)  # nothing is played
    file = tmp_path / "scores.json"
    text = evaluate_py(f"--model={model}", f"--data={data}", f"--json={file}", "--epsilon=0.5")
    lines = text.splitlines()
    assert lines[0].startswith("CartPole-v1, ") and "version 1" in lines[0]
    assert lines[1] == f"30 episodes, 120 steps, of {data}: nothing was played"
    for name in NAMES.values():
        assert len([line for line in lines if line.startswith(f"{name}  ")]) == 1
    assert "the policy with 0.5 of its actions random, discounted by 0.99 a step" in text
    record = json.loads(file.read_text())
    assert record["episodes"] == 30 and record["steps"] == 120 and record["gamma"] == 0.99
    assert record["propensities"] == "logged" and record["untried"] == 0.0
    assert set(record["estimates"]) == set(NAMES)
    mean = record["behaviour"]["mean"]
    assert mean == pytest.approx(1 + 0.99 + 0.99**2 + 0.99**3)
    for name, found in record["estimates"].items():
        low, high = found["mean_ci95"]
        assert low <= found["mean"] <= high, name
        assert found["means_something"] == (not found["verdict"].startswith("means nothing"))
    assert record["estimates"]["wis"]["mean"] == pytest.approx(mean)
    assert evaluate_py(f"--model={model}", f"--data={data}", "--epsilon=0.5").splitlines()[3:-3]


def test_several_data_are_put_together_and_gamma_is_the_flags(model, data, evaluate_py, tmp_path):
    other = write(tmp_path / "other.npz", episodes=10)
    file = tmp_path / "scores.json"
    text = evaluate_py(
        f"--model={model}", f"--data={data}", f"--data={other}", "--gamma=1", f"--json={file}"
    )
    record = json.loads(file.read_text())
    assert record["episodes"] == 40 and record["data"] == [str(data), str(other)]
    # one of them has none
    assert record["propensities"] == "fitted"
    assert record["behaviour"] == {"mean": 4.0, "mean_ci95": [4.0, 4.0]}
    assert "the greedy policy, not discounted" in text


def test_a_training_that_valued_the_next_reward_alone_names_no_discount(
    data, evaluate_py, tmp_path
):
    version, _ = export_untrained("CartPole-v1", tmp_path / "CartPole-v1")
    file = version / MANIFEST
    settings = DQNConfig(gamma=0.0).to_dict()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"config": settings}))
    with pytest.raises(UserError, match=r"was trained with --gamma=0, .*--gamma=0\.99\.$"):
        evaluate_py(f"--model={version}", f"--data={data}")


def test_without_a_manifest_the_environment_says_what_is_seen(model, data, evaluate_py):
    assert "CartPole-v0" in evaluate_py(f"--model={model}", f"--data={data}", "--env=CartPole-v0")


def test_a_masked_policy_chooses_among_legal_actions(tmp_path, evaluate_py):
    """Nothing is known of the environment but its spaces; actions are counted from 7."""
    spaces = KINDS["masked"]
    export(variant("masked"), tmp_path / "model", observations(spaces), {"env": "Elsewhere-v0"})
    rows = 120
    mask = np.zeros((rows, 4), bool)
    legal = np.arange(rows) % 4
    mask[np.arange(rows), legal] = True  # the only one, so that any policy takes it
    np.savez(
        tmp_path / "play.npz",
        observation=observations(spaces, rows),
        action=legal + spaces.action_start,
        action_mask=mask,
        reward=np.ones(rows, np.float32),
        terminated=np.arange(rows) % 4 == 3,
        truncated=np.zeros(rows, bool),
        episode=np.arange(rows) // 4,
        propensity=np.ones(rows),
    )
    file = tmp_path / "scores.json"
    evaluate_py(
        f"--model={tmp_path / 'model'}",
        f"--data={tmp_path / 'play.npz'}",
        f"--json={file}",
        "--gamma=1",
        "--epsilon=0.3",
    )
    record = json.loads(file.read_text())
    assert record["env"] == "Elsewhere-v0"
    for name in ("is", "wis", "pdis", "wpdis", "dr", "wdr"):
        assert record["estimates"][name]["mean"] == pytest.approx(4.0, abs=0.01), name
        assert record["estimates"][name]["effective_sample_size"] == pytest.approx(30.0)
