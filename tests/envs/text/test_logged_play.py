"""Logged data of the environments of tokens: what was played, by whom, and the command."""

import json

import numpy as np
import pytest

from dqn_tf.config import presets, seeding
from dqn_tf.envs import registry
from dqn_tf.envs.text import graphs
from dqn_tf.envs.text.__main__ import main, parse
from dqn_tf.envs.text.logged_play import logged_play
from dqn_tf.envs.text.logged_walks import with_suffixes
from dqn_tf.experience.logged.sources import load
from dqn_tf.support.errors import UserError

CASES = {
    "graph": ("dqn_tf/GraphWalk-v0", {"graph": "3"}),
    "maze": ("dqn_tf/TextMaze-v0", {}),
    "maze of choices": ("dqn_tf/TextMaze-v0", {"level": "choice"}),
    "rewrite": ("dqn_tf/Rewrite-v0", {"task": "count"}),
}


@pytest.fixture(params=CASES, scope="module")
def played(request, tmp_path_factory):
    """Environment, its spaces, columns, and the file they were written to by the command."""
    env_id, arguments = CASES[request.param]
    config = presets.configure(env_id, {"env_kwargs": arguments})
    path = tmp_path_factory.mktemp("data") / "play.npz"
    kwargs = f"--env_kwargs={json.dumps(arguments)}"
    main(parse(["x", f"--data={path}", f"--env={env_id}", kwargs, "--episodes=20", "--seed=5"]))
    with registry.make_env(config) as env:
        yield env.unwrapped, registry.spaces(config), dict(np.load(path)), path


def test_the_episodes_can_be_played_again(played):
    env, _, columns, _ = played
    for number in range(20):
        rows = np.flatnonzero(columns["episode"] == number)
        seed = seeding.episode_seed(5, seeding.RECORDED, number)
        observation, _ = env.reset(seed=seed)
        for row in rows:
            np.testing.assert_array_equal(columns["observation"][row], observation)
            assert (
                columns["propensity"][row]
                == env.behaviour()[columns["action"][row] - env.actions[0]]
            )
            observation, reward, terminated, _, _ = env.step(columns["action"][row])
            assert reward == columns["reward"][row]
            assert terminated == columns["terminated"][row]
        np.testing.assert_array_equal(columns["final_observation"][number], observation)
        assert columns["terminated"][rows[-1]] != columns["truncated"][rows[-1]]
        assert not columns["truncated"][rows[:-1]].any()


def test_a_run_can_read_them(played):
    _, spaces, columns, path = played
    episodes = load(str(path), spaces)
    assert len(episodes.starts) == 21 and episodes.has_final.all()
    np.testing.assert_array_equal(episodes.action, columns["action"] - spaces.action_start)


def test_the_same_seed_plays_the_same(played):
    env, _, columns, _ = played
    again, other = logged_play(env, 20, seed=5), logged_play(env, 20, seed=6)
    assert all(np.array_equal(again[name], columns[name]) for name in columns)
    assert not np.array_equal(other["final_observation"], columns["final_observation"])


@pytest.mark.parametrize(
    ("env_id", "arguments", "mean", "deviation"),
    [
        ("dqn_tf/TextMaze-v0", {"level": "choice"}, -85.89, 3.0),
        ("dqn_tf/TextMaze-v0", {}, -85.89, 3.0),
        ("dqn_tf/Rewrite-v0", {}, 0.5 + 0.5 / 12, 0.02),
    ],
)
def test_how_good_the_players_are(env_id, arguments, mean, deviation):
    """Random commands return what the tables say; and half of all tokens, and some, are right."""
    config = presets.configure(env_id, {"env_kwargs": arguments})
    with registry.make_env(config) as env:
        columns = logged_play(env.unwrapped, 200, seed=0)
    returns = np.bincount(columns["episode"], columns["reward"])
    assert returns.mean() == pytest.approx(mean, abs=3 * deviation)


def test_the_walker_is_the_one_of_the_walks_that_come_with_a_graph():
    """Frequent moves of the 8,000 walks are as frequent as its chances say."""
    graph = graphs.find_graph("1")
    walks = graphs.shipped_walks("1").astype(int)
    row, place = np.nonzero(walks[:, 1:])
    node, following = walks[row, place] - 1, walks[row, place + 1] - 1
    counts = np.zeros((40, 40))
    np.add.at(counts, (node, following), 1)
    visits = counts.sum(axis=1, keepdims=True)
    chances = graphs.walker(graph)
    deviation = np.sqrt(chances * (1 - chances) / np.maximum(visits, 1))
    is_off = np.abs(counts / np.maximum(visits, 1) - chances) > 4 * deviation + 1e-12
    assert not is_off[visits[:, 0] > 200].any()
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)


def test_a_walker_goes_where_there_is_no_way_too():
    """b is a trap without a way out, and further than all else."""
    edges = np.zeros((3, 3), bool)
    edges[0, 1] = edges[0, 2] = True
    graph = graphs.Graph(("a", "b", "goal"), 2, edges, 4)
    chances = graphs.walker(graph)
    away = np.exp(0.6 * 2) / (np.exp(0.6 * 2) + 1)
    np.testing.assert_allclose(chances[0], [0.0, away, 1 - away])
    np.testing.assert_allclose(chances[1], 1 / 3)


def test_the_command_writes_the_walks_of_a_graph(tmp_path, capsys):
    main(parse(["x", f"--data={tmp_path / 'a.npz'}", '--env_kwargs={"graph": 2}']))
    assert "8,000 episodes" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as file:
        assert len(file["final_observation"]) == 8_000
        assert (file["propensity"] > 0).all()


def test_walks_from_each_of_their_nodes(tmp_path, capsys):
    """Each of the other walks is what is left of a whole one, with the same moves."""
    walks = np.array([[3, 1, 2, 5], [4, 5, 0, 0], [2, 1, 5, 0]], np.uint8)
    assert with_suffixes(walks).tolist() == [
        *walks.tolist(),
        *[[1, 2, 5, 0], [1, 5, 0, 0]],
        [2, 5, 0, 0],
    ]
    main(parse(["x", f"--data={tmp_path / 'a.npz'}", "--suffixes"]))
    walks = graphs.shipped_walks("1")
    moves = (walks[:, 1:] > 0).sum(axis=1)
    assert f"{moves.sum():,} episodes, {(moves * (moves + 1) // 2).sum():,} steps" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data=a.csv"], r"^--data=a\.csv: must end in \.npz\.$"),
        (["--data=a.npz", "--episodes=0"], r"^--episodes=0: must be at least 1\.$"),
        (["--data=a.npz", "--seed=-1"], r"^--seed=-1: must be at least 0\.$"),
        (["--data=nowhere/a.npz"], r"^--data=nowhere/a\.npz cannot be written"),
        (["--data=a.npz", '--env_kwargs={"graph": "moon"}'], r"^graph=moon: there is no such file"),
        (["--seed=4"], r"^--seed says what logged data are to be, and no file is named"),
        (["--suffixes"], r"^--suffixes says what logged data are to be, and no file is named"),
        (["--data=a.npz", "--suffixes", "--episodes=9"], r"^--suffixes is of the walks that come"),
        (
            ["--data=a.npz", '--env_kwargs={"grap": "1"}', "--episodes=1"],
            r"^--env_kwargs: .*'grap'",
        ),
    ],
)
def test_mistakes_are_told_in_a_sentence(words, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        main(parse(["x", *words]))
    assert not list(tmp_path.iterdir())
