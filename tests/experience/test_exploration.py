import numpy as np
import pytest
from scipy import stats

import oracles
from dqn_tf.experience import exploration


def test_epsilon():
    oracles.check_epsilon()


def test_epsilon_without_decay_is_at_its_end_from_the_first_step():
    oracles.close(exploration.linear_epsilon(np.array([0, 1]), 1.0, 0.25, 0), [0.25, 0.25], 0.0)


def test_epsilon_keeps_the_shape_of_its_steps():
    assert exploration.linear_epsilon(np.zeros((3, 2), int), 1.0, 0.1, 10).shape == (3, 2)
    assert float(exploration.linear_epsilon(np.asarray(5), 1.0, 0.0, 10)) == 0.5


def test_explores_as_often_as_epsilon_says():
    oracles.check_explores_as_often_as_epsilon_says()


def test_random_actions_are_uniform(generator):
    explore, draw = exploration.draw_exploration(generator, np.full((10_000, 2), 0.5))
    action = exploration.random_action(draw, 5)
    for chosen in (action, action[explore], action[~explore]):
        assert stats.chisquare(np.bincount(chosen.ravel(), minlength=5)).pvalue > 1e-4
    assert action.min() == 0 and action.max() == 4 and action.dtype == np.int64


@pytest.mark.parametrize(("epsilon", "expected"), [(0.0, False), (1.0, True)])
def test_never_and_always(epsilon, expected, generator):
    explore, _ = exploration.draw_exploration(generator, np.full(1000, epsilon))
    assert (explore == expected).all()


def test_plan_is_a_function_of_the_generators_state():
    """And takes as much from it whatever the epsilons are:

    what is drawn later does not depend on them.
    """
    results = []
    for epsilon in (0.3, 0.3, 0.9):
        generator = np.random.default_rng(5)
        results.append(
            (
                *exploration.draw_exploration(generator, np.full((4, 3), epsilon)),
                generator.integers(2**60),
            )
        )
    for one, other in zip(results[0], results[1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(results[0][1], results[2][1])
    assert results[0][2] == results[2][2]
    assert (results[0][0] <= results[2][0]).all(), (
        "a larger epsilon explores wherever a smaller one does"
    )


def test_drawn_actions_have_the_chances_of_a_softmax():
    logits = np.log([[0.5, 0.2, 0.2, 0.1]]).astype(np.float32)
    draw = (np.arange(10_000) + 0.5) / 10_000
    actions = exploration.drawn_action(np.repeat(logits, len(draw), axis=0), draw)
    assert np.bincount(actions, minlength=4).tolist() == pytest.approx(
        [5000, 2000, 2000, 1000], abs=2
    )


def test_drawn_actions_are_legal():
    logits = np.array([[50.0, -50.0, 0.0]], np.float32)
    mask = np.array([[False, True, True]])
    for draw in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        action = exploration.drawn_action(logits, np.array([draw]), mask)
        assert mask[0, action[0]]
    only = np.array([[False, True, False]])
    assert exploration.drawn_action(logits, np.array([0.7]), only).tolist() == [1]
