"""dqn_tf.envs.gridworld and its example:

every move by a table written by hand, Q-values by hand and by learning.
"""

import re
import runpy
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config import presets
from dqn_tf.envs import gridworld, registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

ROOT = Path(__file__).parents[2]
AFTER = {  # cell: where up, down, left and right lead; the goal (2, 2) ends the episode
    (0, 0): [(0, 0), (1, 0), (0, 0), (0, 1)],
    (0, 1): [(0, 1), (1, 1), (0, 0), (0, 2)],
    (0, 2): [(0, 2), (1, 2), (0, 1), (0, 2)],
    (1, 0): [(0, 0), (2, 0), (1, 0), (1, 1)],
    (1, 1): [(0, 1), (2, 1), (1, 0), (1, 2)],
    (1, 2): [(0, 2), (2, 2), (1, 1), (1, 2)],
    (2, 0): [(1, 0), (2, 0), (2, 0), (2, 1)],
    (2, 1): [(1, 1), (2, 1), (2, 0), (2, 2)],
}


@pytest.fixture(scope="module")
def example() -> dict:
    return runpy.run_path(str(ROOT / "examples" / "gridworld.py"))


def test_every_move():
    env = registry.make_env(gridworld.ENV_ID)
    for (row, column), afters in AFTER.items():
        for action, (next_row, next_column) in enumerate(afters):
            env.reset(seed=0)
            env.unwrapped.state = row * 3 + column
            reached = (next_row, next_column) == (2, 2)
            assert env.step(action) == (
                next_row * 3 + next_column,
                0.0 if reached else -1.0,
                reached,
                False,
                {},
            )


def test_it_begins_in_the_middle_and_is_cut_after_a_hundred_steps():
    env = registry.make_env(gridworld.ENV_ID)
    assert env.reset(seed=5) == (4, {})
    ends = [env.step(0)[2:4] for _ in range(100)]
    assert ends == [(False, False)] * 99 + [(False, True)]


def test_gymnasium_finds_nothing_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(gridworld.ENV_ID).unwrapped)


def test_text():
    env = gym.make(gridworld.ENV_ID, render_mode="ansi")
    env.reset(seed=0)
    assert env.render() == ". . .\n. A .\n. . G\n"
    env.step(0)
    assert env.render() == ". A .\n. S .\n. . G\n"


def test_image():
    env = gym.make(gridworld.ENV_ID, render_mode="rgb_array")
    env.reset(seed=0)
    centres = slice(gridworld.CELL // 2, None, gridworld.CELL)
    for action, agent in ((None, (1, 1)), (0, (0, 1)), (1, (1, 1)), (3, (1, 2))):
        if action is not None:
            env.step(action)
        image = env.render()
        assert image.shape == (144, 144, 3) and image.dtype == np.uint8
        expected = np.full((3, 3, 3), gridworld.PAPER)
        expected[1, 1], expected[2, 2] = gridworld.START_GREY, gridworld.GOAL_GREEN
        expected[agent] = gridworld.AGENT_BLUE
        np.testing.assert_array_equal(image[centres, centres], expected)


def test_another_way_to_render_is_refused():
    with pytest.raises(UserError, match="ansi or rgb_array, not as human"):
        gridworld.GridWorld("human")


def test_the_preset_is_taken():
    assert presets.configure(gridworld.ENV_ID, {}).gamma == 0.9


def test_value_iteration_by_hand(example):
    q = example["value_iteration"]()
    # of the best move, by the steps that it leaves to go: -(1 - 0.9^steps) / 0.1
    value = {0: 0.0, 1: -1.0, 2: -1.9, 3: -2.71}
    for (row, column), afters in AFTER.items():
        expected = [
            0.0 if after == (2, 2) else -1.0 + 0.9 * value[4 - sum(after) - 1] for after in afters
        ]
        np.testing.assert_allclose(q[row * 3 + column], expected)


def test_both_learners_find_it(example):
    optimal, steps = example["value_iteration"](), 3_000
    np.testing.assert_allclose(example["q_learning"](steps), optimal, atol=1e-3)
    np.testing.assert_allclose(example["dqn"]((steps,))[steps], optimal, atol=0.05)


def test_the_page_shows_what_the_example_computes(example):
    page = (ROOT / "docs" / "gridworld.md").read_text(encoding="utf-8")
    assert f"gamma = {example['GAMMA']}, seed {example['SEED']}." in page
    for name, q in (
        ("Value iteration (Q*)", example["value_iteration"]()),
        ("Tabular Q-learning", example["q_learning"](example["MOMENTS"][-1])),
    ):
        assert "\n".join(example["markdown"](name, q)) in page
    assert len(re.findall(r"^\| \(\d, \d\)", page, re.MULTILINE)) == 3 * len(AFTER)


def test_the_picture_can_be_drawn(example, tmp_path):
    example["draw"](
        {"one": example["value_iteration"](), "other": np.zeros((9, 4))}, tmp_path / "picture.png"
    )
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert (ROOT / "docs" / "gridworld.png").is_file()


def test_a_directory_tells_two_packages_apart():
    names = {
        "CartPole-v1": "CartPole-v1",
        "my_module:Maze-v0": "Maze-v0",
        "ALE/Pong-v5": "Pong-v5",
        "MinAtar/Breakout-v1": "Breakout-v1",
        gridworld.ENV_ID: "GridWorld-v0",
        "a_pkg/Grid-v0": "a_pkg-Grid-v0",
        "b_pkg/Grid-v0": "b_pkg-Grid-v0",
        "my_module:b_pkg/Grid-v0": "b_pkg-Grid-v0",
    }
    assert {env: registry.directory_name(env) for env in names} == names


@pytest.mark.parametrize(
    "changes", [{"observation_shape": 4}, {"actions": "2"}, {"mask": True}, {"masked": 1}]
)
def test_spaces_of_a_wrong_type_are_refused(changes):
    values = Spaces((4,), "float32", 2).to_dict()
    assert Spaces.from_dict(values).to_dict() == values
    with pytest.raises(UserError, match="no spaces of an environment"):
        Spaces.from_dict(values | changes)
    for nothing in ([], None, {}, values | {"observation_dtype": "flot"}):
        with pytest.raises(UserError, match="no spaces of an environment"):
            Spaces.from_dict(nothing)
