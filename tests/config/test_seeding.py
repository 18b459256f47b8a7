import itertools

import numpy as np
import pytest

from dqn_tf.config import seeding

RECORDED = [494242856, 184785997, 504589498]


def test_generators_are_repeatable_and_independent():
    draws = {
        (seed, name): generator.integers(2**63, size=4).tolist()
        for seed in (0, 1, 2**32 - 1)
        for name, generator in seeding.generators(seed).items()
    }
    assert len({tuple(draw) for draw in draws.values()}) == 3 * len(seeding.GENERATORS)
    for (seed, name), draw in draws.items():
        assert seeding.generators(seed)[name].integers(2**63, size=4).tolist() == draw


def test_a_generators_numbers_do_not_depend_on_the_others():
    drained = seeding.generators(5)
    drained["exploration"].random(1000)
    assert drained["replay"].random() == seeding.generators(5)["replay"].random()


def test_streams_never_share_a_seed():
    training = {
        seeding.episode_seed(0, seeding.TRAINING, env, episode)
        for env in range(8)
        for episode in range(2000)
    }
    others = [
        set(seeding.episode_seeds(0, stream, 2000)) for stream in (seeding.SELECTION, seeding.TEST)
    ]
    assert not (training & others[0] or training & others[1] or others[0] & others[1])
    for stream, seeds in enumerate((training, *others)):
        assert {seed % 4 for seed in seeds} == {stream}
        assert min(seeds) >= 0 and max(seeds) < 2**31
    # a chance collision now and then in 2**29
    assert len(training) > 15_990 and len(others[0]) > 1_990


def test_every_coordinate_of_an_episode_counts():
    positions = list(itertools.product((0, 1), (0, 1), (0, 1)))
    seeds = [
        seeding.episode_seed(seed, seeding.TRAINING, env, episode)
        for seed, env, episode in positions
    ]
    assert len(set(seeds)) == len(positions)
    assert seeds == [
        seeding.episode_seed(seed, seeding.TRAINING, env, episode)
        for seed, env, episode in positions
    ]


def test_seeds_of_recorded_runs_stay_what_they_were():
    """A change here means that no run recorded before can be repeated or resumed:

    docs/results.md would have to be made anew.
    """
    assert [
        seeding.episode_seed(7, seeding.TRAINING, 0, 1),
        *seeding.episode_seeds(7, seeding.SELECTION, 1),
        *seeding.episode_seeds(7, seeding.TEST, 1),
    ] == RECORDED
    oracle = int(np.random.SeedSequence((7, 2, 0)).generate_state(1)[0]) >> 1
    assert seeding.episode_seed(7, seeding.TEST, 0) == oracle - oracle % 4 + 2


def test_episode_seeds_are_the_stream_in_order():
    assert list(seeding.episode_seeds(3, seeding.TEST, 4)) == [
        seeding.episode_seed(3, seeding.TEST, episode) for episode in range(4)
    ]
    assert (
        list(seeding.episode_seeds(3, seeding.TEST, 2))
        == list(seeding.episode_seeds(3, seeding.TEST, 4))[:2]
    )


@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_global_generator_is_left_alone(seed):
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    seeding.generators(seed)["replay"].random(10)
    seeding.episode_seed(seed, seeding.TRAINING, 0, 0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
