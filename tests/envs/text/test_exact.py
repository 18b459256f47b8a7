"""dqn_tf.envs.text.exact and the tables of each environment of tokens:

against every sequence of actions that there is, and step by step against the environments.
"""

import copy

import numpy as np
import pytest

from dqn_tf.envs.text import exact, maze
from dqn_tf.envs.text.exact import END, Model
from dqn_tf.envs.text.graph_walk import GraphWalk
from dqn_tf.envs.text.maze import CELLS, STARTS, TextMaze
from dqn_tf.envs.text.rewrite import Rewrite


def expected_return(env, choose) -> float:
    """The return from here on, if the returns of all actions are combined by `choose`."""
    returns = []
    for action in range(env.action_space.n):
        branch = copy.deepcopy(env)
        step = branch.step(action + env.action_space.start)
        rest = 0.0 if step[2] or step[3] else expected_return(branch, choose)
        returns.append(step[1] + rest)
    return choose(returns)


def over_starts(env, starts: list[dict], choose) -> float:
    """The mean of `expected_return` over the starts."""
    returns = []
    for options in starts:
        env.reset(seed=0, options=options)
        returns.append(expected_return(env, choose))
    return float(np.mean(returns))


SMALL_GRAPH = """{"nodes": ["a", "b", "c", "d"], "goal": "d", "limit": 4,
    "edges": [["a", "b"], ["b", "a"], ["b", "c"], ["c", "c"], ["c", "d"], ["d", "a"]]}"""


@pytest.fixture(params=["graph", "maze", "copy", "count", "at the end"])
def small(request, tmp_path, monkeypatch):
    """A task that is small enough to try everything, and its starts."""
    if request.param == "graph":
        (tmp_path / "graph.json").write_text(SMALL_GRAPH)
        return GraphWalk(str(tmp_path / "graph.json")), [{"start": node} for node in range(3)]
    if request.param == "maze":
        monkeypatch.setattr(maze, "COMMANDS", 1)
        return TextMaze(), [{"start": cell} for cell in STARTS]
    task, reward = ("reverse", "end") if request.param == "at the end" else (request.param, "token")
    env = Rewrite(task, length=2, symbols=3, reward=reward)
    prompts = np.ndindex(*[3] * (1 if request.param == "count" else 2))
    return env, [{"prompt": list(prompt)} for prompt in prompts]


def test_the_optimum_is_that_of_all_sequences(small):
    env, starts = small
    assert env.optimal_return() == pytest.approx(over_starts(env, starts, max))


def test_random_tokens_return_the_mean_of_all_sequences(small):
    env, starts = small
    model = env.model()
    mean = exact.mean_return(model, exact.uniform(model))
    assert mean == pytest.approx(
        over_starts(env, starts, lambda returns: sum(returns) / len(returns))
    )


def test_the_best_policy_reaches_the_optimum(small):
    model = small[0].model()
    policy = exact.best_policy(model)
    assert exact.mean_return(model, policy) == pytest.approx(exact.optimum(model))


def place(env, action: int) -> int:
    """The action's column in the model: for Rewrite, 0 stands for the right token."""
    column = action - int(env.action_space.start)
    if not isinstance(env, Rewrite):
        return column
    answered = len(env.written) - env._begin
    right = env._answer[answered]
    return 0 if column == right else column or right


@pytest.mark.parametrize(
    "env",
    [GraphWalk(), GraphWalk("4"), TextMaze(), TextMaze("choice"), Rewrite(), Rewrite(reward="end")],
    ids=["graph 1", "graph 4", "maze", "maze of choices", "rewrite", "rewrite at the end"],
)
def test_environment_and_tables_go_the_same_way(env):
    """Episodes of actions half at random, half good; each step's reward and end is the model's."""
    model = env.model()
    best = exact.best_policy(model)
    generator = np.random.default_rng(0)
    for seed in range(30):
        env.reset(seed=seed)
        state = 0
        if isinstance(env, GraphWalk):
            state = env.written[0] - 1
        elif isinstance(env, TextMaze):
            state = CELLS.index(env.cell)
        while state != END:
            columns = {place(env, action): action for action in actions(env)}
            column = int(best[state].argmax())
            if generator.random() < 0.5:
                column = int(generator.integers(len(columns)))
            step = env.step(columns[column])
            assert step[1] == model.reward[state, column]
            state = model.successor[state, column]
            assert (state == END) == (step[2] or step[3])


def actions(env) -> range:
    """The environment's own actions."""
    first = int(env.action_space.start)
    return range(first, first + int(env.action_space.n))


def test_the_best_of_several_tries():
    """Two coins that pay 1 and 3: the best of two tries by the four outcomes of each."""
    coin = Model(
        np.array([[1, 1], [END, END]]),
        np.array([[0.0, 1.0], [0.0, 3.0]]),
        np.zeros((2, 2), bool),
        np.array([0]),
    )
    policy = np.array([[0.5, 0.5], [0.25, 0.75]])
    chances = {0: 0.125, 1: 0.125, 3: 0.375, 4: 0.375}
    expected = sum(
        max(first, second) * chances[first] * chances[second]
        for first in chances
        for second in chances
    )
    assert exact.best_of(coin, policy, 2) == pytest.approx(expected)
    assert exact.best_of(coin, policy, 1) == pytest.approx(exact.mean_return(coin, policy))
    half = coin._replace(reward=coin.reward / -2)
    mean = exact.mean_return(half, policy)
    assert exact.best_of(half, policy, 1, unit=0.5) == pytest.approx(mean)
