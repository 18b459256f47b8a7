"""Logged episodes: whole ones, one after the other, in the columns that were read."""

import dataclasses

import numpy as np
import pytest

from dqn_tf.experience.logged.episodes import LoggedEpisodes, content_digest

# 3 episodes: one that terminated, one that goes on at 60, and one of which nothing is known
EPISODES = LoggedEpisodes(
    observation=np.array([[0], [1], [10], [50], [51], [90], [91]], np.float32),
    action=np.array([0, 1, 0, 2, 2, 1, 2], np.int32),
    reward=np.array([1, 2, 3, 0.5, 0.25, 7, 8], np.float32),
    terminated=np.array([0, 0, 1, 0, 0, 0, 0], bool),
    starts=np.array([0, 3, 5, 7]),
    final_observation=np.array([[0], [60], [0]], np.float32),
    has_final=np.array([False, True, False]),
    action_mask=np.eye(4, dtype=bool)[[0, 1, 0, 2, 2, 1, 2]],
    final_mask=np.array([[1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1]], bool),
    propensity=None,
    digest="",
    source="by hand",
)


def test_numbers_of_steps_and_episodes():
    assert len(EPISODES) == 7
    assert EPISODES.count == 3
    assert EPISODES.lengths.tolist() == [3, 2, 2]
    assert EPISODES.last_rows.tolist() == [2, 4, 6]


def test_returns_are_sums_over_episodes_in_float64():
    assert EPISODES.returns.dtype == np.float64
    assert EPISODES.returns.tolist() == [6.0, 0.75, 15.0]
    many = np.full(2**24 + 2, 1, np.float32)  # float32 stops counting at 2^24
    ones = dataclasses.replace(EPISODES, reward=many, starts=np.array([0, len(many)]))
    assert ones.returns.tolist() == [2**24 + 2]


def test_each_row_knows_its_episode():
    rows = np.arange(7)
    assert EPISODES.episode_of(rows).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert EPISODES.episode_of(rows[::-1].reshape(7, 1)).shape == (7, 1)
    assert EPISODES.is_last(rows).tolist() == [False, False, True, False, True, False, True]


def test_next_observations_never_cross_an_episodes_end():
    following = EPISODES.next_observations(np.array([6, 0, 1, 2, 3, 4, 5, 4]))
    assert following.dtype == np.float32
    assert following[:, 0].tolist() == [0, 1, 10, 0, 51, 60, 91, 60]


def test_next_masks_are_those_of_the_next_observations():
    masks = EPISODES.next_masks(np.array([0, 2, 4, 6]))
    assert masks.tolist() == [
        [False, True, False, False],
        [True, True, True, True],
        [False, False, True, True],
        [True, True, True, True],
    ]
    assert dataclasses.replace(EPISODES, action_mask=None).next_masks(np.array([0])) is None


def test_the_end_of_which_nothing_is_known_cannot_be_learned_from():
    assert EPISODES.has_next.tolist() == [True, True, False]
    assert EPISODES.learnable().tolist() == [0, 1, 2, 3, 4, 5]


def test_shares_of_actions():
    assert EPISODES.action_shares(4).tolist() == [2 / 7, 2 / 7, 3 / 7, 0.0]


def test_the_digest_is_that_of_the_contents():
    column = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert content_digest(column, None) == content_digest(column.copy(), None)
    others = [
        (column, column),
        (None, column),
        (column.reshape(3, 4), None),
        (column.view(np.int32), None),
        (column + 1, None),
    ]
    assert len({content_digest(*columns) for columns in [(column, None), *others]}) == 6
    large = np.zeros((5 << 20, 2), np.float64)
    changed = large.copy()
    changed[-1, -1] = 1
    assert content_digest(large) != content_digest(changed)


@pytest.mark.parametrize("name", ["digest", "source", "observation"])
def test_they_cannot_be_changed(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(EPISODES, name, None)
