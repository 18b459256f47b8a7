from collections import deque

import numpy as np
import pytest
from scipy import stats

import oracles
from dqn_tf.experience.replay import UniformReplay, bytes_per_row

COLUMNS = {"number": ((), "int64"), "observation": ((2, 3), "uint8"), "reward": ((), "float32")}


def buffer(capacity: int, seed: int = 0) -> UniformReplay:
    return UniformReplay(capacity, COLUMNS, np.random.default_rng(seed))


def rows(first: int, count: int) -> dict[str, np.ndarray]:
    """Rows numbered from `first`, each column a function of the number."""
    number = np.arange(first, first + count)
    return {
        "number": number,
        "observation": (number[:, None, None] + np.arange(6).reshape(2, 3)).astype(np.uint8),
        "reward": number.astype(np.float32) / 2,
    }


def consistent(batch: dict[str, np.ndarray]) -> None:
    """Every column belongs to the number beside it."""
    number = batch["number"]
    np.testing.assert_array_equal(batch["reward"], number / 2)
    np.testing.assert_array_equal(
        batch["observation"],
        (number[..., None, None] + np.arange(6).reshape(2, 3)).astype(np.uint8),
    )


def numbers(held: UniformReplay) -> list[int]:
    """The numbers held, oldest first."""
    consistent(held.rows())
    return sorted(held.rows()["number"].tolist())


def test_order():
    oracles.check_replay_order()


@pytest.mark.parametrize("capacity", [1, 2, 7, 16])
def test_equals_a_deque_under_random_operations(capacity, generator):
    held, model, added = buffer(capacity), deque(maxlen=capacity), 0
    for _ in range(300):
        kind = generator.integers(4)
        if kind < 2:
            count = int(generator.integers(1, 3 * capacity + 1))
            held.add(rows(added, count))
            model.extend(range(added, added + count))
            added += count
        elif kind == 2 and model:
            batch = held.sample(2, 3)
            assert batch["number"].shape == (2, 3) and batch["observation"].shape == (2, 3, 2, 3)
            consistent(batch)
            assert set(batch["number"].ravel().tolist()) <= set(model)
        elif model:
            capacity = max(1, capacity + int(generator.integers(-2, 3)))
            other = buffer(capacity)
            other.restore(
                {name: column.copy() for name, column in held.rows().items()}, held.state()
            )
            held, model = other, deque(model, maxlen=capacity)
        assert len(held) == len(model)
        assert numbers(held) == list(model)


@pytest.mark.parametrize("added", [0, 3, 8, 11, 40])
def test_restored_draws_the_same_batches(added):
    first = buffer(8, seed=4)
    for start in range(added):
        first.add(rows(start, 1))
    second = buffer(8, seed=99)
    second.restore({name: column.copy() for name, column in first.rows().items()}, first.state())
    second.generator.bit_generator.state = first.generator.bit_generator.state
    for _ in range(3):
        for held in (first, second):
            held.add(rows(held.added, 3))
        batch, same = first.sample(2, 5), second.sample(2, 5)
        for name in COLUMNS:
            np.testing.assert_array_equal(batch[name], same[name])


@pytest.mark.parametrize("added", [5, 64, 100])
def test_sampling_is_uniform_over_what_is_there_and_with_replacement(added):
    held = buffer(64, seed=1)
    held.add(rows(0, added))
    drawn = held.sample(200, 100)["number"].ravel()
    held_numbers = numbers(held)
    counts = [int((drawn == number).sum()) for number in held_numbers]
    assert sum(counts) == 20_000
    assert stats.chisquare(counts).pvalue > 1e-4
    assert len(set(held.sample(1, 1000)["number"].ravel().tolist())) == len(held_numbers)


def test_updates_draw_batches_of_their_own():
    held = buffer(64)
    held.add(rows(0, 64))
    batch = held.sample(2, 32)["number"]
    assert (batch[0] != batch[1]).any()


def test_batches_and_rows_keep_their_dtypes():
    held = buffer(4)
    held.add(rows(0, 3))
    for batch in (held.rows(), held.sample(1, 2)):
        assert {name: str(column.dtype) for name, column in batch.items()} == {
            name: dtype for name, (_, dtype) in COLUMNS.items()
        }


def test_what_is_added_and_what_is_drawn_are_copies():
    held, given = buffer(4), rows(0, 3)
    held.add(given)
    given["number"][:] = -1
    held.sample(1, 8)["number"][:] = -1
    assert numbers(held) == [0, 1, 2]


def test_sampling_does_not_touch_numpys_global_generator():
    held = buffer(4)
    held.add(rows(0, 4))
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    held.sample(3, 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_bytes_per_row_is_what_the_columns_take():
    assert bytes_per_row(COLUMNS) == 8 + 6 + 4
    assert sum(column.nbytes for column in buffer(10).columns.values()) == 180
