"""dqn_tf/TextMaze-v0: what is said and read, and its yardsticks."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from dqn_tf.config import presets
from dqn_tf.envs import registry
from dqn_tf.envs.text import exact, maze
from dqn_tf.envs.text.maze import ENV_ID, GOAL, STARTS, TextMaze
from dqn_tf.support.errors import UserError


def said(env) -> str:
    """The observation in words."""
    return " ".join(env.tokens[number] for number in env.observation() if number)


def write(env, words: str) -> tuple:
    """Write words; return the last step."""
    step = ()
    for word in words.split():
        step = env.step(env.number[word])
    return step


def test_it_says_where_it_is_and_reads_commands():
    env = TextMaze()
    env.reset(options={"start": (5, 4)})
    assert said(env) == "goal 8 6 here 5 4 wall up down >"
    assert write(env, "move right")[1:4] == (0.0, False, False)
    assert said(env) == "goal 8 6 here 5 4 wall up down > move right"
    assert write(env, ".")[1:4] == (-1.0, False, False)
    assert said(env) == "goal 8 6 here 5 5 wall up down >"
    assert write(env, "move up .")[1:4] == (-1.0, False, False)  # into the wall
    assert said(env) == "goal 8 6 here 5 5 wall up down >"


def test_the_goal_is_free_and_ends_the_episode():
    env = TextMaze()
    env.reset(options={"start": (7, 6)})
    assert write(env, "move down .")[1:4] == (0.0, True, False)
    assert said(env) == "goal 8 6 here 8 6 wall down left right >"


@pytest.mark.parametrize("words", [".", "move .", "up .", "move move .", "move up up", "up up up"])
def test_what_is_no_command_costs_four_and_moves_nothing(words):
    env = TextMaze()
    env.reset(options={"start": (4, 3)})
    assert write(env, words)[1:4] == (-4.0, False, False)
    assert env.cell == (4, 3)
    assert said(env).endswith(">")


def test_the_last_command_is_the_hundred_and_first():
    for env, words in ((TextMaze(), "move up ."), (TextMaze(), ".")):
        env.reset(options={"start": (5, 4)})
        ends = [write(env, words)[2:4] for _ in range(101)]
        assert ends == [(False, False)] * 100 + [(False, True)]


def test_four_choices_are_the_four_commands():
    env = TextMaze("choice")
    assert env.get_action_meanings() == ["move up", "move down", "move left", "move right"]
    env.reset(options={"start": (5, 4)})
    assert env.step(3)[1:4] == (-1.0, False, False)
    assert (env.cell, said(env)) == ((5, 5), "goal 8 6 here 5 5 wall up down >")


def test_yardsticks_are_those_of_the_published_table():
    """LMRL-Gym normalises by a best of -6.84; random moves are -85.9 under its limit."""
    assert TextMaze().optimal_return() == pytest.approx(-6.84)
    assert TextMaze("choice").optimal_return() == pytest.approx(-6.84)
    choices = maze.choice_model()
    at_random = exact.mean_return(choices, exact.uniform(choices))
    assert round(at_random, 1) == -85.9
    assert len(STARTS) == 25


def test_the_optimum_is_the_shortest_way():
    """By a flood from the goal: the last step is free."""
    distance = {GOAL: 0}
    frontier = [GOAL]
    while frontier:
        beside = [
            (row + down, column + right)
            for row, column in frontier
            for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1))
        ]
        steps = distance[frontier[0]] + 1
        frontier = [cell for cell in STARTS if cell in beside and cell not in distance]
        distance |= dict.fromkeys(frontier, steps)
    mean = np.mean([1 - distance[start] for start in STARTS])
    assert TextMaze().optimal_return() == pytest.approx(mean)


@pytest.mark.parametrize("level", maze.LEVELS)
def test_gymnasium_finds_nothing_to_say_about_it(level):
    check_env(gym.make(ENV_ID, level=level).unwrapped, skip_render_check=True)
    spaces = registry.spaces(presets.configure(ENV_ID, {"env_kwargs": {"level": level}}))
    expected = ((14,), 6, 1) if level == "token" else ((11,), 4, 0)
    assert (spaces.observation_shape, spaces.actions, spaces.action_start) == expected


def test_starts_depend_on_the_seed_alone_and_all_are_drawn():
    def start(seed: int) -> tuple[int, int]:
        env = TextMaze()
        env.reset(seed=seed)
        return env.cell

    drawn = [start(seed) for seed in range(400)]
    assert drawn == [start(seed) for seed in range(400)]
    assert set(drawn) == set(STARTS)


def test_mistakes_are_told_in_a_sentence():
    with pytest.raises(UserError, match="level=word is none of token, choice"):
        TextMaze("word")
    with pytest.raises(UserError, match=r"\(0, 0\) is none of the starts"):
        TextMaze().reset(options={"start": (0, 0)})
