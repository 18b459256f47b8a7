"""benchmarks.scores.statistics against hand-worked and SciPy's numbers."""

import itertools

import numpy as np
import pytest
from scipy import stats

from benchmarks.scores import statistics


def test_probability_of_improvement_is_mann_whitneys():
    scores = np.array([1.0, 2.0, 2.0, 7.0])
    others = np.array([0.0, 2.0, 3.0])
    # 1 beats 0; each 2 beats 0 and ties with 2; 7 beats all: (1 + 1.5 + 1.5 + 3) / 12.
    estimate = statistics.probability_of_improvement(scores, others)
    assert estimate.value == pytest.approx(7 / 12)
    assert estimate.value == pytest.approx(stats.mannwhitneyu(scores, others).statistic / 12)
    assert estimate.low <= estimate.value <= estimate.high


def test_interval_of_the_probability_of_improvement_is_that_of_all_resamples():
    """Two runs each: 16 resamples, all of them listed."""
    scores = np.array([1.0, 4.0])
    others = np.array([0.0, 2.0])
    every = [
        np.mean(
            [
                [(x > y) + (x == y) / 2 for y in (others[c], others[d])]
                for x in (scores[a], scores[b])
            ]
        )
        for a, b, c, d in itertools.product(range(2), repeat=4)
    ]
    assert statistics.probability_of_improvement(scores, others)[1:] == pytest.approx(
        np.percentile(every, (2.5, 97.5), method="inverted_cdf")
    )
    assert statistics.probability_of_improvement(others, scores).value == pytest.approx(
        1 - np.mean(every)
    )


def test_interquartile_mean_and_its_interval():
    estimate = statistics.interquartile_mean(
        np.array([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 1000.0])
    )
    assert estimate.value == 35.0, "the middle four of eight"
    assert estimate.low < 35.0 < estimate.high
    resampled = np.random.default_rng(1).choice(
        [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 1000.0], size=(20_000, 8)
    )
    assert estimate[1:] == pytest.approx(
        np.percentile(stats.trim_mean(resampled, 0.25, axis=1), (2.5, 97.5)), rel=0.06
    )
    assert statistics.interquartile_mean(np.array([3.0])) == (3.0, 3.0, 3.0)


def test_curve_is_pointwise_and_of_whole_runs():
    returns = np.array([[0.0, 5.0, 0.0], [1.0, 5.0, 10.0], [2.0, 5.0, 20.0], [3.0, 5.0, 1000.0]])
    curve = statistics.curve(returns)
    np.testing.assert_allclose(curve[:, 0], [1.5, 5.0, 15.0])
    np.testing.assert_allclose(curve[1], 5.0)
    assert (curve[:, 1] <= curve[:, 0]).all() and (curve[:, 0] <= curve[:, 2]).all()


@pytest.mark.parametrize(
    ("steps", "median"),
    [
        ([100, 300, 200], 200.0),
        ([100, None, 200], 200.0),
        ([100, None], None),
        ([None], None),
        ([100, 200, 300, None], 250.0),
    ],
)
def test_steps_to_threshold(steps, median):
    assert statistics.steps_to_threshold(steps) == median
