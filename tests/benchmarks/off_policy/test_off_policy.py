"""The coverage benchmark: its episodes are CartPole's, and its tables count what the rows say."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from benchmarks.common import records
from benchmarks.off_policy import __main__ as benchmark
from benchmarks.off_policy import cart_pole
from benchmarks.off_policy.__main__ import Row, render
from dqn_tf.support.errors import UserError


def lean(observation, mask):
    """Push to where the pole leans."""
    return (observation[:, 2] > 0).astype(np.int64)


def test_its_episodes_are_those_of_the_environment():
    episodes = cart_pole.log(lean, 0.4, 20, seed=1)
    greedy = lean(episodes.observation, None)
    share = (episodes.action == greedy).mean()
    assert 0.7 < share < 0.9
    np.testing.assert_allclose(
        episodes.propensity, np.where(episodes.action == greedy, 0.8, 0.2), rtol=1e-6
    )
    assert episodes.terminated[episodes.last_rows].all() and episodes.terminated.sum() == 20
    env = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    for row in (0, int(episodes.last_rows[0]), int(episodes.starts[3])):
        env.state = episodes.observation[row].astype(float)
        observation, *_ = env.step(int(episodes.action[row]))
        following = episodes.next_observations(np.array([row]))[0]
        np.testing.assert_allclose(observation, following, atol=1e-5)


def test_the_true_value_is_that_of_whole_episodes():
    returns = cart_pole.discounted_returns(lean, 0.0, 0.9, 50, seed=2)
    assert returns.shape == (50,) and (returns > 6.0).all() and (returns < 10.0).all()


def test_the_table_counts_what_is_covered_and_what_means_nothing():
    def row(estimator, low, verdict):
        return Row("now", 0.1, 0.2, "logged", 30, 0, estimator, 5.0, 4.0, low, 6.0, 20.0, verdict)

    rows = [row("is", 3.0, "no doubt found"), row("is", 5.5, "means nothing: too few")]
    rows += [row(name, 3.0, "no doubt found") for name in benchmark.NAMES if name != "is"]
    lines = render(rows)
    assert "| importance sampling | 1 of 2 | 1 | 1 of 1 | 4.00 | 1.75 |" in lines
    assert "| fitted Q | 1 of 1 | 0 | 1 of 1 | 4.00 | 3.00 |" in lines


def test_a_model_is_asked_for():
    with pytest.raises(UserError, match=r"^--model is missing"):
        benchmark.parse(["-m", "--repetitions=2"])


def test_the_page_shows_the_rows_that_are_kept():
    root = Path(__file__).parents[3]
    file = root / "benchmarks" / "results" / "off_policy" / "cart_pole.csv"
    page = (root / "docs" / "offline.md").read_text(encoding="utf-8").splitlines()
    lines = render(records.newest(records.read(file, Row)))
    assert len(lines) > 10 and set(lines) <= set(page)
