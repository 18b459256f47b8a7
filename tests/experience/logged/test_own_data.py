"""`--data=env`: an environment's own data, checked as those of files are."""

import time

import gymnasium as gym
import numpy as np
import pytest

import logged_data
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.text import graphs
from dqn_tf.envs.text.logged_walks import logged_walks
from dqn_tf.experience.logged import sources
from dqn_tf.experience.logged.building import from_columns
from dqn_tf.experience.logged.shares import load_all
from dqn_tf.experience.logged.summary import summarize
from dqn_tf.support.errors import UserError
from logged_data import VECTORS

CITY = """{"nodes": ["home", "park", "sea"], "goal": "sea",
 "edges": [["home", "park"], ["park", "home"], ["park", "sea"], ["sea", "home"]]}"""


class Told(gym.Env):
    """Observes two numbers; its data are what the test says."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(3, start=1)
    told = None

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), 0.0, True, False, {}


class WithData(Told):
    def corpus(self):
        if isinstance(Told.told, Exception):
            raise Told.told
        return Told.told


gym.register("WithoutData-v0", entry_point=Told)
gym.register("WithData-v0", entry_point=WithData)


def load(env_id, arguments=None):
    config = presets.configure(env_id, {"env_kwargs": arguments or {}})
    spaces = registry.spaces(config)
    (only,) = load_all(["env"], spaces, lambda: registry.corpus(config))
    return only.episodes, spaces


@pytest.mark.parametrize(
    ("env_id", "arguments", "episodes"),
    [
        ("dqn_tf/GraphWalk-v0", {"graph": "3"}, 8_000),
        ("dqn_tf/GraphWalk-v0", {"graph": "city.json"}, 8_000),
        ("dqn_tf/TextMaze-v0", {}, 200),
        ("dqn_tf/TextMaze-v0", {"level": "choice"}, 200),
        ("dqn_tf/Rewrite-v0", {"task": "count"}, 5_000),
    ],
    ids=["walks", "own graph", "maze", "maze of choices", "rewrite"],
)
def test_environments_of_tokens_have_data_of_their_own(
    env_id, arguments, episodes, tmp_path, monkeypatch
):
    """Always the same, in a time that a start can wait for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "city.json").write_text(CITY)
    start = time.process_time()
    data, spaces = load(env_id, arguments)
    assert time.process_time() - start < 6  # 2 s and less on a quiet machine
    assert data.count == episodes and data.has_final.all() and data.propensity is not None
    assert summarize(data, spaces).startswith(f"--data=env: {episodes:,} episodes")
    assert load(env_id, arguments)[0].digest == data.digest


def test_the_walks_are_those_that_come_with_the_graph():
    data, spaces = load("dqn_tf/GraphWalk-v0", {"graph": 2})
    walks = logged_walks(graphs.find_graph("2"), graphs.shipped_walks("2"))
    assert data.digest == from_columns(walks, spaces, "walks").digest


def test_the_episode_under_way_is_left_alone():
    with registry.make_env("dqn_tf/Rewrite-v0") as env:
        first, _ = env.reset(seed=3)
        env.unwrapped.corpus()
        following = env.step(env.action_space.start)[0]
        assert (following[: len(env.unwrapped.written) - 1] == first[first > 0]).all()
        again, _ = env.reset(seed=3)
        assert (again == first).all()


def test_a_share_of_it(tmp_path):
    Told.told = logged_data.columns()
    path = logged_data.write_npz(tmp_path / "a.npz", logged_data.columns())
    config = DQNConfig(env="WithData-v0")
    own, file = load_all(["env@0.3", str(path)], VECTORS, lambda: registry.corpus(config))
    assert (own.share, file.share) == (0.3, 0.7)
    assert own.episodes.source == "env" and own.episodes.digest == file.episodes.digest


def wrong(**columns):
    return {**logged_data.columns(), **columns}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (None, "`corpus` returned None, and must return the columns of logged data by name"),
        ([1, 2], "returned .* and must return the columns"),
        (ValueError("no disk"), "`corpus` of --env=WithData-v0 failed: .*no disk"),
        (UserError("Put the book into the folder."), "^Put the book into the folder.$"),
        ({"action": np.zeros(3, int)}, "^--data=env has no column episode"),
        (wrong(colour=np.zeros(5)), "^--data=env: column colour is none of episode"),
        (wrong(action=[1, 2, 3, 3, 9]), "^--data=env, row 4, column action: 9 is no action"),
        (wrong(action=[1, 2]), r"^--data=env, column action: it has 2 rows, and episode has 5"),
        (wrong(observation=np.zeros((5, 3))), r"column observation: its shape is \[5, 3\], and"),
        (wrong(reward=[[1], [2, 3]]), "^--data=env, column reward: it is no array"),
        (wrong(reward=[None] * 5), "^--data=env, column reward: it holds objects"),
        (wrong(reward=7.0), r"column reward: its shape is \[\], and must be \[steps\]"),
    ],
)
def test_what_is_wrong_with_it_is_told_in_a_sentence(told, sentence):
    Told.told = told
    with pytest.raises(UserError, match=sentence):
        load("WithData-v0")


def test_an_environment_without_data_says_so():
    with pytest.raises(UserError, match="--env=WithoutData-v0 has no data of its own, which a"):
        load("WithoutData-v0")
    with pytest.raises(UserError, match="--data=env is an environment's own data"):
        sources.load("env", VECTORS)
