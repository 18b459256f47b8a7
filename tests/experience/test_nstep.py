"""Windows of n steps against a loop over each environment's steps (`oracles.n_step_rows`)."""

import numpy as np
import pytest

import oracles
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep, columns
from environments import Counter


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_envs", [1, 2, 5])
@pytest.mark.parametrize("n_step", [1, 2, 3, 5])
def test_rows_equal_a_plain_loops_whatever_the_blocks(n_step, num_envs, masked):
    for seed in range(6):
        oracles.check_n_step(n_step, num_envs, masked, seed)


@pytest.mark.parametrize(
    ("how", "discounts"),
    [
        ("terminated", [0.125, 0.0, 0.0, 0.0]),
        ("truncated", [0.125, 0.125, 0.25, 0.5]),
        ("both", [0.125, 0.0, 0.0, 0.0]),
    ],
)
def test_one_episode_by_hand(how, discounts):
    """Rewards 1, 2, 4, 8 and an end, then 16 of the next episode; n = 3, gamma = 1/2."""
    steps = Steps.empty(5, 1, oracles.COUNTER)
    steps.reward[:, 0], steps.observation[:, 0, 0], steps.next_observation[:, 0, 0] = (
        [1, 2, 4, 8, 16],
        [0, 1, 2, 3, 10],
        [1, 2, 3, 4, 11],
    )
    steps.terminated[3], steps.truncated[3] = (
        how in ("terminated", "both"),
        how
        in (
            "truncated",
            "both",
        ),
    )
    rows = NStep(3, 0.5, 1, oracles.COUNTER).add(steps)
    assert rows["reward"].tolist() == [3.0, 6.0, 8.0, 8.0], "the last step's window is still open"
    assert rows["discount"].tolist() == discounts
    assert rows["observation"][:, 0].tolist() == [0, 1, 2, 3] and rows["next_observation"][
        :, 0
    ].tolist() == [3, 4, 4, 4]


@pytest.mark.parametrize(
    "spaces",
    [
        Spaces((), "int64", 2, categories=6),
        Spaces((2, 3), "uint8", 5, masked=True),
        Spaces((4,), "float32", 2),
    ],
    ids=str,
)
def test_rows_are_of_the_columns_that_replay_is_built_with(spaces):
    given = NStep(3, 0.9, 2, spaces)
    for length in (1, 1, 1, 4):  # the first two blocks finish no window
        rows = given.add(Steps.empty(length, 2, spaces))
        assert {name: (row.shape[1:], str(row.dtype)) for name, row in rows.items()} == columns(
            spaces
        )
    assert len(rows["reward"]) == 8


def test_the_given_steps_may_be_written_over_afterwards():
    """An engine collects every block into the same arrays."""
    generator, spaces = np.random.default_rng(3), oracles.COUNTER
    everything = oracles.random_steps(generator, 40, 2, spaces)
    whole, blocks = NStep(3, 0.9, 2, spaces).add(everything), []
    room, windows = Steps.empty(8, 2, spaces), NStep(3, 0.9, 2, spaces)
    for first in range(0, 40, 8):
        for name, column in vars(room).items():
            column[:] = getattr(everything, name)[first : first + 8]
        blocks.append(windows.add(room))
    for name, column in whole.items():
        joined = np.concatenate([rows[name] for rows in blocks])
        assert sorted(joined.tolist()) == sorted(column.tolist()), name


@pytest.mark.parametrize("num_envs", [1, 3])
@pytest.mark.parametrize("n_step", [2, 4])
def test_every_row_that_an_engine_stores_is_a_window_of_one_episode(num_envs, n_step):
    config = oracles.make_config(
        num_envs=num_envs,
        gamma=0.5,
        n_step=n_step,
        updates_per_block=7,
        total_steps=num_envs * 50,
        warmup_env_steps=num_envs * 50 - 1,
        replay_capacity=num_envs * 50,
    )
    engine = oracles.make_engine(config, lambda: Counter(oracles.counter_ends))
    oracles.without_learning(engine.agent)
    rows = oracles.run(engine).replay.rows()
    starts = []
    for (episode, first), (same_episode, last), reward, discount in zip(
        rows["observation"].tolist(),
        rows["next_observation"].tolist(),
        rows["reward"].tolist(),
        rows["discount"].tolist(),
        strict=True,
    ):
        length, how = oracles.counter_ends(int(episode))
        assert episode == same_episode and last == min(first + n_step, length)
        taken = np.arange(1, last - first + 1)
        oracles.close(reward, (0.5 ** (taken - 1) * (100 * episode + first + taken)).sum(), 1e-6)
        assert discount == (0.0 if last == length and how != "truncated" else 0.5 ** (last - first))
        starts.append((episode, first))
    episode, number, expected = 1, 0, []
    for _ in range(50):
        length, _ = oracles.counter_ends(episode)
        expected.append((episode, number))
        number += 1
        if number == length:
            episode, number = episode + 1, 0
    still_open = min(number, n_step - 1)
    assert still_open, "the run's end should lie inside an episode"
    assert sorted(starts) == sorted(expected[: len(expected) - still_open] * num_envs)
