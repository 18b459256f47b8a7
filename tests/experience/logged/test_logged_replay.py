"""Replay of logged episodes: the transitions that the engine would have made of the same steps."""

import numpy as np
import pytest

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged.replay import LONG_WINDOW, LoggedReplay
from dqn_tf.experience.mixed_replay import MixedReplay, shared_counts
from dqn_tf.experience.priorities import Priorities
from dqn_tf.experience.replay import UniformReplay
from dqn_tf.experience.transitions import NStep, columns
from dqn_tf.support.errors import UserError
from logged_episodes import TRUNCATED, UNKNOWN, as_steps, random_episodes

PLAIN = Spaces((3,), "float32", 4)
MASKED = Spaces((3,), "float32", 4, masked=True)


def replay(episodes, n_step=1, prioritized=False, seed=0) -> LoggedReplay:
    priorities = Priorities(len(episodes), 0.6) if prioritized else None
    return LoggedReplay(episodes, n_step, 0.9, np.random.default_rng(seed), priorities)


@pytest.mark.parametrize("spaces", [PLAIN, MASKED], ids=["plain", "masked"])
@pytest.mark.parametrize("n_step", [1, 2, 3, 17, 1000])
def test_every_transition_is_the_one_that_the_engine_makes_of_these_steps(spaces, n_step):
    episodes = random_episodes(spaces, 12, seed=n_step)
    held = replay(episodes, n_step)
    expected = []
    for number in range(episodes.count):
        steps = as_steps(episodes, number, spaces)
        expected.append(NStep(n_step, 0.9, 1, spaces).add(steps))
    learnable = episodes.learnable()
    taken = held.take({"place": learnable[:, np.newaxis]})
    assert set(taken) == set(columns(spaces))
    for name, column in taken.items():
        rows = np.concatenate([part[name] for part in expected])
        assert column.dtype == rows.dtype and column.shape == (len(learnable), 1, *rows.shape[1:])
        if name == "reward" and n_step > LONG_WINDOW:  # a difference of sums
            np.testing.assert_allclose(column[:, 0], rows, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(column[:, 0], rows, err_msg=name)


def test_every_row_that_can_be_learned_from_is_drawn_equally_often_and_no_other():
    episodes = random_episodes(PLAIN, 9, seed=1)
    held = replay(episodes)
    drawn = held.draw(1000, 40)["place"]
    counts = np.bincount(drawn.reshape(-1), minlength=len(episodes))
    learnable = episodes.learnable()
    assert len(held) == len(learnable) < len(episodes)
    assert counts[learnable].sum() == drawn.size
    expected = drawn.size / len(learnable)
    assert (np.abs(counts[learnable] - expected) < 5 * np.sqrt(expected)).all()


def test_priorities_follow_the_errors_and_never_draw_what_has_no_next_observation():
    episodes = random_episodes(PLAIN, 9, seed=2, ends=(UNKNOWN, TRUNCATED))
    held = replay(episodes, prioritized=True)
    held.set_beta(1.0)
    for _ in range(200):
        drawn = held.draw(1, 40)
        row = drawn["place"][0]
        held.update_priorities(np.where(row == 3, 50.0, 0.1)[np.newaxis])
    counts = np.bincount(held.draw(500, 40)["place"].reshape(-1), minlength=len(episodes))
    learnable = episodes.learnable()
    assert counts[learnable].sum() == 500 * 40
    assert counts.argmax() == 3
    weight = held.draw(1, 40)["weight"]
    assert weight.dtype == np.float32 and weight.max() == 1.0


def test_nothing_of_the_data_is_copied():
    episodes = random_episodes(PLAIN, 9, seed=3)
    assert replay(episodes).episodes.observation is episodes.observation


def test_it_goes_on_where_it_was_saved_and_only_with_the_same_data():
    episodes = random_episodes(PLAIN, 9, seed=4)
    first = replay(episodes, prioritized=True)
    first.draw(1, 8)
    first.update_priorities(np.full((1, 8), 3.0))
    second = replay(episodes, prioritized=True, seed=1)
    second.restore(first.rows(), first.state())
    second.generator.bit_generator.state = first.generator.bit_generator.state
    expected, found = first.draw(3, 8), second.draw(3, 8)
    for name, column in expected.items():
        np.testing.assert_array_equal(column, found[name], err_msg=name)
    other = replay(random_episodes(PLAIN, 9, seed=5, source="other.npz"), prioritized=True)
    with pytest.raises(UserError, match="--data=other.npz does not hold what it held"):
        other.restore(first.rows(), first.state())


# --- several sources ------------------------------------------------------------------------------


def mixture(counts=(5, 3), online_counts=(4, 3, 1), prioritized=False) -> MixedReplay:
    generator = np.random.default_rng(0)
    online = UniformReplay(100, columns(PLAIN), generator)
    parts = [random_episodes(PLAIN, 6, seed, f"part{seed}") for seed in (6, 7)]
    for number, part in enumerate(parts):
        part.reward[:] = number + 1  # tells where a row is from
    logged = [replay(part, prioritized=prioritized) for part in parts]
    return MixedReplay(online, logged, counts, online_counts)


def add_own_rows(held: MixedReplay) -> None:
    """Thirty rows whose reward is 0."""
    rows = {name: np.zeros((30, *shape), dtype) for name, (shape, dtype) in columns(PLAIN).items()}
    held.add(rows)


def test_each_batch_has_its_rows_of_each_source():
    held = mixture()
    offline = held.sample(3, 8)
    assert offline["reward"].tolist() == [[1] * 5 + [2] * 3] * 3
    assert offline["is_logged"].tolist() == [[1.0] * 8] * 3
    add_own_rows(held)
    online = held.sample(2, 8)
    assert online["reward"].tolist() == [[0] * 4 + [1] * 3 + [2]] * 2
    assert online["is_logged"].tolist() == [[0.0] * 4 + [1.0] * 4] * 2
    assert online["is_logged"].dtype == np.float32
    for name, column in online.items():
        assert column.shape[:2] == (2, 8), name


def test_any_part_of_what_was_drawn_can_be_taken():
    held = mixture()
    add_own_rows(held)
    drawn = held.draw(4, 8)
    whole = held.take(drawn)
    for number in range(4):
        part = held.take({name: column[number] for name, column in drawn.items()})
        for name, column in part.items():
            np.testing.assert_array_equal(column, whole[name][number], err_msg=name)


def test_errors_go_to_the_source_that_they_are_of():
    held = mixture(prioritized=True)
    drawn = held.draw(1, 8)
    held.update_priorities(np.arange(8.0)[np.newaxis] + 1)
    for part, place, errors in (
        (held.logged[0], slice(0, 5), np.arange(1.0, 6.0)),
        (held.logged[1], slice(5, 8), np.arange(6.0, 9.0)),
    ):
        rows = drawn["place"][0, place]
        last = {int(row): error for row, error in zip(rows, errors, strict=True)}
        found = part.rows()["priority"][list(last)]
        np.testing.assert_allclose(found, (np.array(list(last.values())) + 1e-6) ** 0.6)


@pytest.mark.parametrize(
    ("batch_size", "shares", "counts"),
    [
        (8, [1], (8,)),
        (8, [1, 1], (4, 4)),
        (8, [0.3, 0.7], (2, 6)),
        (32, [1, 1, 1], (11, 11, 10)),
        (10, [0.1, 0.2, 0.7], (1, 2, 7)),
        (4, [1000, 1], (4, 0)),
        (0, [1, 2], (0, 0)),
    ],
)
def test_a_batch_is_divided_into_whole_rows(batch_size, shares, counts):
    assert shared_counts(batch_size, shares) == counts
