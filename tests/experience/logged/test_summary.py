"""What is said of logged data before anything is learned from it."""

import dataclasses

import numpy as np

import logged_data
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.building import from_columns
from dqn_tf.experience.logged.summary import summarize
from logged_data import NUMBERS, VECTORS


def test_a_summary():
    arrays = logged_data.columns() | {"propensity": np.array([1, 0.5, 0.25, 1, 1])}
    episodes = from_columns(arrays, VECTORS, "a.npz")
    assert summarize(episodes, VECTORS) == (
        "a.npz: 2 episodes, 5 steps (2 to 3 an episode)\n"
        "  returns: mean 1.875, quartiles 0.6875, 1.875, 3.062, from -0.5 to 4.25\n"
        "  actions: 1: 40.0%, 2: 20.0%, 3: 40.0%\n"
        "  coverage: every action was taken; 100.0% of the observations are distinct\n"
        "  ends: 1 terminated, 1 cut\n"
        "  propensities: 0.25 to 1\n"
        "  not learned from: the last step of an episode: cut, and the observation after it is not"
        " known"
    )


def test_what_was_never_tried_is_said():
    arrays = logged_data.columns() | {"action": np.array([1, 1, 3, 3, 1])}
    arrays["observation"] = np.zeros((5, 2))
    told = summarize(from_columns(arrays, VECTORS, "a.npz"), VECTORS)
    assert "coverage: 1 action never taken (2); 20.0% of the observations are distinct" in told


def test_pairs_of_numbered_observations_are_counted():
    arrays = logged_data.columns() | {
        "observation": np.array([10, 13, 13, 13, 10]),
        "action": np.array([0, 1, 1, 0, 0]),
    }
    told = summarize(from_columns(arrays, NUMBERS, "a.npz"), NUMBERS)
    assert "2 of 4 observations seen, 3 of 8 pairs of observation and action tried" in told


def test_where_all_is_known_nothing_is_left_out():
    arrays = logged_data.columns() | logged_data.finals()
    told = summarize(from_columns(arrays, VECTORS, "a.npz"), VECTORS)
    assert "not learned from" not in told


def test_many_actions_and_many_rows_are_told_shortly():
    spaces = Spaces((1,), "float32", 100)
    rows = 30_000
    arrays = {
        "observation": np.arange(rows, dtype=np.float32).reshape(rows, 1) // 6,
        "action": np.zeros(rows, int),
        "reward": np.zeros(rows),
        "terminated": np.arange(rows) % 10 == 9,
        "truncated": np.zeros(rows, bool),
        "episode": np.arange(rows) // 10,
    }
    episodes = from_columns(arrays, spaces, "a.npz")
    told = summarize(dataclasses.replace(episodes, notes=("7 requests have no reward",)), spaces)
    assert "3,000 episodes, 30,000 steps (10 an episode)" in told
    assert "0: 100.0%, 1: 0.0%" in told
    assert ", and 80 others" in told
    assert "99 actions never taken (1, 2, " in told
    assert "50.0% of the observations of 10,000 looked at are distinct" in told
    assert told.endswith("\n  7 requests have no reward")


def test_actions_are_named():
    arrays = logged_data.columns() | {"action": np.array([1, 1, 3, 3, 1])}
    episodes = from_columns(arrays, VECTORS, "a.npz")
    told = summarize(episodes, VECTORS, ["left", "stay", "right"])
    assert "actions: 1 left: 60.0%, 2 stay: 0.0%, 3 right: 40.0%\n" in told
    assert "coverage: 1 action never taken (2 stay);" in told
