"""python -m dqn_tf.record: what it writes is what was played, with the right probabilities."""

import re

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces, describe
from dqn_tf.experience.logged import sources
from dqn_tf.record import __main__ as command
from dqn_tf.record import flags as record_flags
from dqn_tf.record.behaviour import Behaviour
from dqn_tf.support.errors import UserError
from sample_agents import export_untrained


@pytest.fixture
def record(capsys):
    """Runs the command in this process; returns what it printed."""

    def run(*words):
        with pytest.raises(SystemExit) as end:
            command.main(record_flags.parse(["record", *map(str, words)]))
        assert end.value.code == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        return printed.out

    return run


def spaces_of(env: str) -> Spaces:
    made = gym.make(env)
    return describe(made.observation_space, made.action_space)


CARTPOLE = spaces_of("CartPole-v1")


def test_what_is_recorded_is_what_the_environment_does(record, tmp_path):
    path = tmp_path / "a.npz"
    record("--env=CartPole-v1", "--episodes=5", "--seed=3", f"--output={path}")
    episodes = sources.load(str(path), CARTPOLE)
    assert episodes.count == 5
    assert episodes.has_final.all()
    env = gym.make("CartPole-v1")
    for number in range(5):
        seed = seeding.episode_seed(3, seeding.RECORDED, number)
        observation, _ = env.reset(seed=seed)
        for row in range(episodes.starts[number], episodes.starts[number + 1]):
            assert (episodes.observation[row] == observation).all()
            observation, reward, terminated, _, _ = env.step(int(episodes.action[row]))
            assert episodes.reward[row] == reward
            assert episodes.terminated[row] == terminated
        assert (episodes.final_observation[number] == observation).all()


def test_one_instance_is_enough_for_minari(record, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    record("--env=faulty:OnlyOne-v0", "--episodes=3", "--output=minari:only/one-v0")
    spaces = registry.spaces(DQNConfig(env="faulty:OnlyOne-v0"))
    assert sources.load("minari:only/one-v0", spaces).count == 3


def test_it_depends_on_the_seed_and_on_nothing_else(record, tmp_path):
    contents = []
    for name, seed, envs in (("a", 1, 1), ("b", 1, 7), ("c", 2, 7)):
        path = tmp_path / f"{name}.npz"
        words = ["--env=CartPole-v1", "--steps=200", f"--seed={seed}", f"--evaluation_envs={envs}"]
        record(*words, f"--output={path}")
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert contents[1] != contents[2]


def test_so_many_steps_are_recorded_and_the_last_episode_is_cut(record, tmp_path):
    path = tmp_path / "a.npz"
    said = record("--env=CartPole-v1", "--steps=150", f"--output={path}")
    assert re.search(r"\d episodes, 150 steps", said)
    with np.load(path) as columns:
        assert columns["truncated"].nonzero()[0].tolist() == [149]
        assert columns["terminated"].sum() == columns["episode"].max()
        assert not columns["terminated"][149]
    episodes = sources.load(str(path), CARTPOLE)
    assert len(episodes.learnable()) == 150


def test_long_episodes_are_cut(record, tmp_path):
    path = tmp_path / "a.npz"
    record("--env=CartPole-v1", "--episodes=4", "--max_episode_steps=6", f"--output={path}")
    episodes = sources.load(str(path), CARTPOLE)
    assert episodes.lengths.tolist() == [6, 6, 6, 6]
    assert not episodes.terminated.any()


@pytest.mark.parametrize("env", ["Masked-v0", "MaskedInfo-v0"])
def test_masks_are_recorded_and_kept_to(record, tmp_path, env):
    path = tmp_path / "a.npz"
    record(f"--env=recorded_worlds:{env}", "--episodes=40", f"--output={path}")
    spaces = Spaces((2,), "float32", 3, action_start=5, masked=True)
    episodes = sources.load(str(path), spaces)
    assert (episodes.reward == episodes.action + 5).all()
    count = episodes.observation[:, 0].astype(int)
    expected = np.stack([count % 2, 1 - count % 2, np.ones_like(count)], axis=1)
    assert (episodes.action_mask == expected).all()
    assert (episodes.propensity == 0.5).all()  # two of three are legal
    following = episodes.next_masks(np.arange(len(episodes)))
    assert (following[:, 0] == (count + 1) % 2).all()


def test_an_export_plays_and_a_mixture_knows_its_probabilities(record, tmp_path):
    version, agent = export_untrained("CartPole-v1", tmp_path / "export")
    path = tmp_path / "greedy.npz"
    record(f"--model={version}", "--episodes=2", f"--output={path}")
    episodes = sources.load(str(path), CARTPOLE)
    greedy = np.asarray(agent(episodes.observation)).argmax(axis=1)
    assert (episodes.action == greedy).all()
    assert (episodes.propensity == 1).all()
    path = tmp_path / "mixture.npz"
    record(f"--model={version}", "--epsilon=0.4", "--steps=2000", f"--output={path}")
    episodes = sources.load(str(path), CARTPOLE)
    greedy = np.asarray(agent(episodes.observation)).argmax(axis=1)
    is_greedy = episodes.action == greedy
    assert np.allclose(episodes.propensity, np.where(is_greedy, 0.8, 0.2))
    assert abs(is_greedy.mean() - 0.8) < 4 * np.sqrt(0.8 * 0.2 / 2000)


def test_a_mixture_is_one_over_legal_actions(generator):
    spaces = Spaces((1,), "float32", 4, action_start=2, masked=True)
    mask = np.array([[True, True, False, True], [True, True, True, True]])
    observation = np.zeros((2, 1), np.float32)

    def policy(observation, mask):
        return np.array([5, 2])

    behaviour = Behaviour(policy, 0.3, spaces)
    counts = np.zeros((2, 4))
    for _ in range(4000):
        actions, propensities = behaviour.choose(observation, mask, generator.random((2, 2)))
        expected = [[0.1, 0.1, 0, 0.8], [0.775, 0.075, 0.075, 0.075]]
        for row, action in enumerate(actions - 2):
            assert np.isclose(propensities[row], expected[row][action])
            counts[row, action] += 1
    assert (np.abs(counts / 4000 - expected) < 0.03).all()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--output=a.npz"], "--env is missing: name what to play"),
        (["--env=CartPole-v1"], "--output is missing: name a file"),
        (["--env=CartPole-v1", "--output=a.csv"], "--output=a.csv: must end in .npz, or be minari"),
        (
            ["--env=CartPole-v1", "--output=nowhere/a.npz"],
            "--output=nowhere/a.npz cannot be written: there is no directory nowhere.",
        ),
        (["--env=CartPole-v1", "--output=a.npz", "--epsilon=0.1"], "--epsilon needs a --model"),
        (["--model=x", "--output=a.npz", "--epsilon=1.1"], "--epsilon=1.1: must be from 0 to 1."),
        (["--model=x", "--output=a.npz", "--epsilon=nan"], "--epsilon=nan: must be from 0 to 1."),
        (["--env=CartPole-v1", "--output=a.npz", "--episodes=0"], "--episodes=0: must be at least"),
        (["--env=CartPole-v1", "--output=a.npz", "--steps=0"], "--steps=0: must be at least 1."),
        (["--env=CartPole-v1", "--output=a.npz", "--seed=-1"], "--seed=-1: must be at least 0."),
        (
            ["--env=CartPole-v1", "--output=a.npz", "--episodes=2", "--steps=3"],
            "--episodes and --steps exclude each other",
        ),
        (["--model=nowhere", "--output=a.npz"], "nowhere: there is no such directory."),
        (["--env=NoSuch-v0", "--output=a.npz"], "NoSuch"),
        (
            ["--env=CartPole-v1", "--output=minari:cartpole"],
            "--output=minari:cartpole: an id is a name and a version",
        ),
    ],
)
def test_what_is_refused(words, sentence):
    if "minari:" in words[-1]:
        pytest.importorskip("minari")
    with pytest.raises(UserError, match=re.escape(sentence)) as caught:
        command.prepare(record_flags.parse(["record", *words]))
    assert "\n" not in str(caught.value)


def test_the_help_page(capsys):
    with pytest.raises(SystemExit):
        record_flags.parse(["dqn-record", "--help"])
    page = capsys.readouterr().out
    assert page.startswith("dqn-record --env=CartPole-v1 --episodes=100 --output=random.npz\n")
    for name in ("epsilon", "steps", "seed=0", "output", "env_kwargs"):
        assert f"  --{name}" in page
