"""dqn_tf/GraphWalk-v0: rules, yardsticks, the walks that come with it, and graphs of a file."""

import itertools
import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.text import exact, graphs, walk_baselines
from dqn_tf.envs.text.graph_walk import ENV_ID, GraphWalk, walk_model
from dqn_tf.envs.text.logged_walks import logged_walks
from dqn_tf.experience.logged.sources import load
from dqn_tf.support.errors import UserError

WAY = {  # home → park → sea is the way; home → sea is none
    "nodes": ["home", "park", "sea"],
    "goal": "sea",
    "limit": 3,
    "edges": [["home", "park"], ["park", "sea"], ["park", "home"]],
}


def written(tmp_path, **changes) -> str:
    """The path of a graph's file."""
    path = tmp_path / "graph.json"
    path.write_text(json.dumps(WAY | changes))
    return str(path)


def play(env, start: int, tokens: list[int]) -> list[tuple]:
    """Reward, terminated and truncated of each step."""
    env.reset(seed=0, options={"start": start})
    return [env.step(token)[1:4] for token in tokens]


def test_every_token_costs_one_and_the_goal_ends_the_walk(tmp_path):
    env = GraphWalk(written(tmp_path))
    assert play(env, 0, [2, 3]) == [(-1.0, False, False), (-1.0, True, False)]
    assert env.observation().tolist() == [1, 2, 3, 0]
    assert env.tokens == ("<pad>", "home", "park", "sea")


def test_a_token_without_an_edge_ends_the_walk_at_the_lowest_return(tmp_path):
    env = GraphWalk(written(tmp_path))
    assert play(env, 0, [3]) == [(-3.0, True, False)]
    assert play(env, 0, [2, 2]) == [(-1.0, False, False), (-2.0, True, False)]


def test_a_walk_is_cut_where_the_observation_is_full(tmp_path):
    env = GraphWalk(written(tmp_path))
    assert play(env, 0, [2, 1, 2]) == [(-1.0, False, False)] * 2 + [(-1.0, False, True)]


def test_gymnasium_finds_nothing_to_say_about_it():
    check_env(gym.make(ENV_ID).unwrapped, skip_render_check=True)
    env = gym.make(ENV_ID, render_mode="ansi")
    observation, _ = env.reset(seed=3)
    assert env.render() == f"{observation[0] - 1}\n"


def test_starts_depend_on_the_seed_alone_and_all_are_drawn():
    env = GraphWalk()
    starts = [int(env.reset(seed=seed)[0][0]) for seed in range(600)]
    assert starts == [int(GraphWalk().reset(seed=seed)[0][0]) for seed in range(600)]
    assert set(starts) == {node + 1 for node in env.graph.starts}


def test_dqn_tf_sees_tokens_whose_actions_are_their_numbers():
    config = presets.configure(ENV_ID, {"env_kwargs": {"graph": "2"}})
    spaces = registry.spaces(config)
    assert isinstance(spaces, Spaces)
    assert (spaces.observation_shape, spaces.observation_dtype) == ((16,), "int32")
    assert (spaces.actions, spaces.action_start, spaces.masked) == (40, 1, False)
    assert (spaces.vocabulary, spaces.category_start, spaces.padding) == (41, 0, 0)
    names = list(map(str, range(40)))
    told = {"action_meanings": names, "tokens": ["<pad>", *names], "tokenizer": "spaced"}
    assert registry.names(config) == told


# computed beforehand by another program, of the same 8,000 walks
PUBLISHED = {
    "optimum": -2.82,
    "optimum on the walks' moves": -2.82,
    "one-step Monte-Carlo Q, greedy": -3.54,
    "cloning of successes, greedy": -3.92,
    "cloning of successes, sampled": -5.00,
    "legal tokens at random": -13.31,
    "cloning, sampled": -14.88,
    "cloning, greedy": -15.00,
}


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, float]]:
    graph = graphs.find_graph("1")
    return walk_baselines.yardsticks(graph, walk_model(graph), graphs.shipped_walks("1"))


def test_the_yardsticks_are_those_of_the_first_experiments(measured):
    returns = {name: round(measured[name][0], 2) for name in PUBLISHED}
    assert returns == PUBLISHED
    assert round(measured["cloning of successes, greedy"][1], 2) == 0.95
    assert round(measured["the walks themselves"][1], 2) == 0.01


@pytest.mark.parametrize("name", graphs.SHIPPED)
def test_the_optimum_is_the_shortest_way(name):
    """By breadth first from the goal, which is another computation."""
    graph = graphs.find_graph(name)
    distance = {graph.goal: 0}
    frontier = [graph.goal]
    while frontier:
        before = {int(node) for end in frontier for node in np.flatnonzero(graph.edges[:, end])}
        frontier = [node for node in before if node not in distance]
        distance |= dict.fromkeys(frontier, max(distance.values()) + 1)
    mean = np.mean([-distance[start] for start in graph.starts])
    assert GraphWalk(name).optimal_return() == pytest.approx(mean)
    assert len(distance) == 40


@pytest.mark.parametrize("name", graphs.SHIPPED)
def test_walks_are_legal_and_end_at_the_goal(name):
    graph = graphs.find_graph(name)
    walks = graphs.shipped_walks(name).astype(int)
    assert walks.shape == (8_000, 9)
    lengths = (walks > 0).sum(axis=1)
    for walk, length in zip(walks.tolist(), lengths.tolist(), strict=True):
        nodes = [token - 1 for token in walk[:length]]
        assert all(graph.edges[move] for move in itertools.pairwise(nodes))
        assert graph.goal not in nodes[:-1]
        assert length == 9 or nodes[-1] == graph.goal


def test_cloned_and_monte_carlo_policies_by_hand(tmp_path):
    """Three walks: home park sea; home park home park; park home."""
    graph = graphs.read_graph(tmp_path / written(tmp_path))
    walks = np.array([[1, 2, 3, 0], [1, 2, 1, 2], [2, 1, 0, 0]], np.uint8)
    sampled = walk_baselines.cloned(graph, walks)
    np.testing.assert_allclose(sampled, [[0, 1, 0], [2 / 3, 0, 1 / 3], [0, 0, 1]])
    successes = walk_baselines.cloned(graph, walks, successes_only=True)
    np.testing.assert_allclose(successes, [[0, 1, 0], [0, 0, 1], [0, 0, 1]])
    # home → park: -2 in the first walk, lost at places 0 and 2 in the second: -3, -1
    # park → home: lost at place 1 in the second, at 0 in the third: -2, -3
    expected = [[-np.inf, -2.0, -np.inf], [-2.5, -np.inf, -1.0], [-np.inf] * 3]
    np.testing.assert_allclose(walk_baselines.monte_carlo(graph, walks), expected)
    assert walk_baselines.walks_return(graph, walks) == (-8 / 3, 1 / 3)


def test_an_unseen_move_is_a_mistake_on_the_data_alone(tmp_path):
    graph = graphs.read_graph(tmp_path / written(tmp_path))
    only_back = np.array([[1, 2, 1], [2, 1, 2]], np.uint8)
    within = walk_baselines.supported(walk_model(graph), graph, only_back)
    assert exact.optimum(within) == -3.0
    assert exact.optimum(walk_model(graph)) == -1.5


def test_walks_are_data_that_a_run_can_read(tmp_path):
    graph = graphs.find_graph("1")
    walks = graphs.shipped_walks("1")[:200]
    np.savez(tmp_path / "walks.npz", **logged_walks(graph, walks))
    episodes = load(str(tmp_path / "walks.npz"), registry.spaces(presets.configure(ENV_ID, {})))
    assert len(episodes.starts) == 201
    first = slice(episodes.starts[0], episodes.starts[1])
    env = GraphWalk()
    observation, _ = env.reset(options={"start": int(walks[0, 0]) - 1})
    for row in range(first.start, first.stop):
        np.testing.assert_array_equal(episodes.observation[row], observation)
        observation, reward, terminated, _, _ = env.step(int(episodes.action[row]) + 1)
        assert (episodes.reward[row], episodes.terminated[row]) == (reward, terminated)
    np.testing.assert_array_equal(episodes.final_observation[0], observation)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"goal": "moon"}, "goal is 'moon', and must be one of the nodes"),
        ({"nodes": ["sea"]}, "nodes must be a list of 2 to 1000 names"),
        ({"nodes": ["home", "park", "the sea"]}, "'the sea' is no name of a node"),
        ({"nodes": ["home", "sea", "sea"]}, "two nodes have the same name"),
        ({"edges": [["home", "moon"]]}, "is no edge: it must be a pair of nodes"),
        ({"edges": [["home", ["sea"]]]}, "is no edge: it must be a pair of nodes"),
        ({"edges": [["home", "park"]]}, "no edge leads to the goal sea"),
        ({"edges": None}, "edges must be a list of pairs of nodes"),
        ({"limit": 0}, "limit is 0, and must be a whole number from 1 to 1000"),
        ({"limit": True}, "limit is True, and must be a whole number"),
        (
            {"weights": []},
            "'weights' is no key of a graph, whose keys are nodes, goal, edges, limit",
        ),
    ],
)
def test_a_file_that_is_no_graph_is_told_in_a_sentence(tmp_path, changes, sentence):
    with pytest.raises(UserError, match=r"graph\.json: .*") as raised:
        GraphWalk(written(tmp_path, **changes))
    assert sentence in str(raised.value)


def test_other_mistakes_are_told_in_a_sentence(tmp_path):
    (tmp_path / "graph.json").write_text("[")
    with pytest.raises(UserError, match="is not JSON"):
        GraphWalk(str(tmp_path / "graph.json"))
    config = presets.configure(ENV_ID, {"env_kwargs": {"graph": "5"}})
    with pytest.raises(
        UserError, match="graph=5: there is no such file; the graphs that come with"
    ):
        registry.spaces(config)
    with pytest.raises(UserError, match="graph=~nobody77/g: there is no such file"):
        graphs.find_graph("~nobody77/g")
    with pytest.raises(UserError, match="walks come with the graphs 1, 2, 3, 4 only"):
        graphs.shipped_walks(written(tmp_path))
    with pytest.raises(UserError, match="0 is none of the starts"):
        GraphWalk().reset(options={"start": 0})
    with pytest.raises(UserError, match="renders as ansi"):
        GraphWalk(render_mode="human")
