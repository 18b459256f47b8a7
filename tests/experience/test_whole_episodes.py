"""Rows of whole episodes against the transitions that `NStep` makes of the same steps."""

import dataclasses

import numpy as np
import pytest

import growing
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.whole_episodes import WholeEpisodes, beginnings, begins, episode_columns
from dqn_tf.support.errors import UserError

GAMMA = growing.GAMMA


@pytest.mark.parametrize("n_step", [1, 3, 20])
@pytest.mark.parametrize("spaces", [growing.TEXT, growing.MASKED], ids=["plain", "masks"])
def test_rows_are_the_transitions_of_made_up_texts(spaces, n_step):
    growing.check_made_up_rows(n_step, spaces)


@pytest.mark.parametrize("n_step", [1, 3, 20])
@pytest.mark.parametrize(
    ("env_id", "arguments"),
    [
        ("dqn_tf/GraphWalk-v0", {"graph": "2"}),
        ("dqn_tf/Rewrite-v0", {"length": 4, "symbols": 3}),
        ("dqn_tf/Rewrite-v0", {"task": "count", "reward": "end"}),
    ],
    ids=["walk", "reverse", "count"],
)
def test_rows_are_the_transitions_of_played_episodes(env_id, arguments, n_step):
    steps, spaces = growing.played(env_id, arguments, 80, 2, 3)
    growing.check_rows(steps, spaces, n_step)


def test_what_is_forgotten_is_in_no_row():
    """Two steps of a text, which is then given up, and the whole of another."""
    rows = WholeEpisodes(1, 0.5, 1, growing.TEXT)
    texts = [2, 0, -1, -2], [1, -2, 0]
    for text in texts:
        steps = Steps.empty(len(text) - 1, 1, growing.TEXT)
        for t in range(len(text) - 1):
            steps.observation[t, 0] = growing.padded(text[: t + 1], 7)
            steps.next_observation[t, 0] = growing.padded(text[: t + 2], 7)
        steps.terminated[-1] = text == texts[1]
        made = rows.add(steps)
        rows.forget([0])
    assert made["sequence"].tolist() == [growing.padded(texts[1], 7).tolist()]
    assert made["is_step"].sum() == 2


@pytest.mark.parametrize(
    ("ends", "discounts", "next_positions"),
    [("terminated", [0.25, 0.0, 0.0], [3, 4, 4]), ("truncated", [0.25, 0.25, 0.5], [3, 4, 4])],
)
def test_one_episode_by_hand(ends, discounts, next_positions):
    """Two tokens, and three more with rewards 1, 2, 4; n = 2, gamma = 1/2."""
    steps = Steps.empty(3, 1, growing.TEXT)
    text = [2, 0, -1, -2, 1]
    for t in range(3):
        steps.observation[t, 0] = growing.padded(text[: t + 2], 7)
        steps.next_observation[t, 0] = growing.padded(text[: t + 3], 7)
    steps.reward[:, 0] = 1, 2, 4
    steps.action[:, 0] = 1, 0, 3
    getattr(steps, ends)[2] = True
    rows = WholeEpisodes(2, 0.5, 1, growing.TEXT).add(steps)
    assert rows["sequence"].tolist() == [[2, 0, -1, -2, 1, 3, 3]]
    assert rows["position"].tolist() == [[1, 2, 3, 0, 0, 0, 0]]
    assert rows["next_position"].tolist() == [[*next_positions, 0, 0, 0, 0]]
    assert rows["action"].tolist() == [[1, 0, 3, 0, 0, 0, 0]]
    assert rows["reward"].tolist() == [[2.0, 4.0, 4.0, 0, 0, 0, 0]]
    assert rows["discount"].tolist() == [[*discounts, 0, 0, 0, 0]]
    assert rows["is_step"].tolist() == [[1.0, 1.0, 1.0, 0, 0, 0, 0]]


@pytest.mark.parametrize("spaces", [growing.TEXT, growing.MASKED], ids=["plain", "masks"])
def test_unfinished_episodes_go_on_in_the_next_block(spaces):
    growing.check_blocks(spaces)


def test_rows_come_in_the_order_of_time():
    steps = growing.made_up(np.random.default_rng(1), 40, 3)
    rows = WholeEpisodes(1, GAMMA, 3, growing.TEXT).add(steps)
    last = (rows["is_step"].sum(axis=1) - 1).astype(int)
    ends = np.argwhere(steps.ended)
    expected = [steps.reward[t, env] for t, env in ends]
    np.testing.assert_array_equal(rows["reward"][np.arange(len(last)), last], expected)


def test_the_steps_observations_can_be_had_again():
    steps = growing.made_up(np.random.default_rng(2), 50, 1)
    rows = WholeEpisodes(1, GAMMA, 1, growing.TEXT).add(steps)
    count = int(np.flatnonzero(steps.ended[:, 0])[-1]) + 1
    everything = beginnings(rows, 1_000, 3)
    np.testing.assert_array_equal(everything, steps.observation[:count, 0])
    assert everything.dtype == np.int16
    some = beginnings(rows, 5, 3)
    np.testing.assert_array_equal(some, everything[np.linspace(0, count - 1, 5).astype(int)])


def test_a_maze_that_is_told_anew_is_refused_at_its_first_answer():
    steps, spaces = growing.played("dqn_tf/TextMaze-v0", {}, 3, 1, 0)
    maker = WholeEpisodes(1, 1.0, 1, spaces)
    told = r"must be the beginning of the next one.*\[.*\] and then \[.*--replay_unit=transition"
    with pytest.raises(UserError, match=told):
        for t in range(3):
            maker.add(steps.part(slice(t, t + 1)))


@pytest.mark.parametrize(
    ("later", "begins_it", "by_messages"),
    [
        ([5, 1, 2, 3, 5, 1], True, True),  # another message
        ([5, 1, 2, 0, 0, 0], True, True),  # nothing more
        ([5, 1, 2, 3, 0, 0], True, True),  # the padding of a message of two is no token of it
        ([5, 2, 2, 0, 5, 1], False, False),
    ],
)
def test_a_message_may_follow(later, begins_it, by_messages):
    told = np.array([[5, 1, 2, 0, 0, 0]])
    assert begins(told, np.array([later]), 0)[0] == begins_it
    assert begins(told, np.array([later]), 0, unit=3)[0] == by_messages


def test_a_message_that_grows_is_no_beginning():
    """A network that reads messages would see in the later one what came after."""
    told, later = np.array([[5, 1, 0, 5, 0, 0]]), np.array([[5, 1, 0, 5, 2, 0]])
    assert begins(told, later, 0)[0] and not begins(told, later, 0, unit=3)[0]
    spaces = dataclasses.replace(growing.TEXT, observation_shape=(6,), padding=0)
    steps = Steps.empty(1, 1, spaces)
    steps.observation[:], steps.next_observation[:] = told, later
    WholeEpisodes(1, 1.0, 1, spaces).add(steps)
    with pytest.raises(UserError, match="With --message_torso=gru no message may grow"):
        WholeEpisodes(1, 1.0, 1, spaces, unit=3).add(steps)


def test_what_is_no_growing_text_is_refused():
    steps = Steps.empty(1, 1, growing.TEXT)
    steps.observation[:] = 3
    steps.next_observation[:] = growing.padded([1], 7)
    with pytest.raises(UserError, match="gave no token at all and then"):
        WholeEpisodes(1, 1.0, 1, growing.TEXT).add(steps)
    steps = Steps.empty(8, 1, growing.TEXT)
    steps.observation[:] = steps.next_observation[:] = growing.padded([1], 7)
    maker = WholeEpisodes(1, 1.0, 1, growing.TEXT)
    maker.add(steps.part(slice(7)))
    with pytest.raises(UserError, match="more than 7 steps.*--replay_unit=transition"):
        maker.add(steps.part(slice(7, 8)))


@pytest.mark.parametrize(
    ("spaces", "what"),
    [
        (dataclasses.replace(growing.TEXT, padding=None), "tokens without a padding, [7] int16"),
        (Spaces((4,), "float32", 2), "no tokens, [4] float32"),
        (Spaces((84, 84, 4), "uint8", 6, stack=4), "no tokens, [84, 84, 4] uint8"),
        (Spaces((), "int64", 2, categories=9), "no tokens, [] int64"),
    ],
)
def test_spaces_without_growing_texts_are_refused(spaces, what):
    for refused in (lambda: episode_columns(spaces), lambda: WholeEpisodes(1, 1.0, 1, spaces)):
        with pytest.raises(UserError) as error:
            refused()
        assert what in str(error.value) and "--replay_unit=transition" in str(error.value)
