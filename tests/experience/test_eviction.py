"""Which row gives way where the replay is full. The oldest: test_replay.py."""

import numpy as np
import pytest

import eviction_oracles
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.eviction import Reservoir, require_evictable
from dqn_tf.experience.replay import PrioritizedReplay
from dqn_tf.support.errors import UserError
from eviction_oracles import COLUMNS, filled, held, reservoir


def test_every_sample_is_as_likely():
    eviction_oracles.check_every_sample_is_as_likely()


def test_a_smaller_one_is_as_likely():
    eviction_oracles.check_a_smaller_one_is_as_likely()


def test_each_of_many_rows_stays_with_the_same_probability():
    """300 rows, of which 50 are held: each in a sixth of 600 replays, within 5 standard errors."""
    counts = np.zeros(300)
    for seed in range(600):
        counts[list(held(filled(50, (7, 130, 1, 162), seed)))] += 1
    expected = 600 / 6
    assert counts.sum() == 600 * 50
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected * 5 / 6)).all()


def test_rows_that_come_in_pieces_are_those_that_come_at_once():
    assert held(filled(7, (3, 20, 4, 13), seed=2)) == held(filled(7, (40,), seed=2))


@pytest.mark.parametrize("added", [0, 3, 8, 40])
def test_restored_it_goes_on_to_the_bit(added):
    first = filled(8, (1,) * added, seed=4)
    second = reservoir(8, seed=99)
    second.restore({"number": first.rows()["number"].copy()}, first.state())
    second.generator.bit_generator.state = first.generator.bit_generator.state
    for _ in range(3):
        for replay in (first, second):
            replay.add({"number": replay.added + np.arange(5)})
        np.testing.assert_array_equal(first.rows()["number"], second.rows()["number"])
        batches = [replay.sample(2, 6)["number"] for replay in (first, second)]
        np.testing.assert_array_equal(*batches)


def test_it_grows_as_long_as_nothing_was_dropped():
    small, large = filled(8, (8,), seed=1), reservoir(20, seed=1)
    large.restore(small.rows(), small.state())
    assert held(large) == tuple(range(8)) and large.added == 8
    small.add({"number": np.array([8])})
    with pytest.raises(UserError, match="--replay_capacity=20: of 9 rows so far.* at most 8"):
        large.restore(small.rows(), small.state())


def test_rows_with_priorities_have_theirs():
    """A new row has the largest priority, wherever it lies, and the others keep theirs."""
    generator = np.random.default_rng(3)
    replay = PrioritizedReplay(6, COLUMNS, generator, alpha=1.0, eviction=Reservoir(6, generator))
    known = {}
    for start in range(0, 60, 3):
        replay.add({"number": np.arange(start, start + 3)})
        known |= dict.fromkeys(range(start, start + 3), replay.priorities.largest)
        drawn = replay.sample(1, 4)["number"][0]
        errors = generator.exponential(size=(1, 4))
        replay.update_priorities(errors)
        known |= dict(zip(drawn.tolist(), errors[0] + 1e-6, strict=True))
        rows = replay.rows()
        expected = [known[number] for number in rows["number"].tolist()]
        np.testing.assert_allclose(rows["priority"], expected)
    assert min(held(replay)) < 45, "an old row should have stayed"


def test_stacked_pictures_are_refused():
    config = DQNConfig(replay_eviction="reservoir")
    require_evictable(config, Spaces((4,), "float32", 2))
    with pytest.raises(UserError, match="--replay_eviction=reservoir keeps rows of any age"):
        require_evictable(config, Spaces((84, 84, 4), "uint8", 2, stack=4))
