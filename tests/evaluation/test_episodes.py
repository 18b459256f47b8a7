"""Episodes and statistics: against numbers worked by hand, and environments that misbehave."""

import time

import gymnasium as gym
import numpy as np
import pytest

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.evaluation import statistics, watch
from dqn_tf.evaluation.episodes import (
    Evaluation,
    Rules,
    compare,
    evaluate,
    join_evaluations,
    play,
)
from dqn_tf.evaluation.library import evaluate as evaluate_anything
from dqn_tf.evaluation.statistics import FEWEST_DIFFERING, bootstrap, iqm
from dqn_tf.support.errors import UserError


class Countdown(gym.Env):
    """Lasts (seed % 5) + 2 steps and pays the action; observes the steps left and the seed, as
    float64.
    """

    observation_space = gym.spaces.Box(0.0, 1e9, (2,), np.float64)
    action_space = gym.spaces.Discrete(3)
    closed = 0

    def reset(self, *, seed=None, options=None):
        self.left, self.seed = seed % 5 + 2, seed
        return self.observed(), {}

    def step(self, action):
        self.left -= 1
        return self.observed(), float(action), self.left == 0, False, {}

    def observed(self):
        return np.array([self.left, self.seed], np.float64)

    def close(self):
        type(self).closed += 1


def remainder(observation, mask):
    """A policy that depends on everything it sees."""
    return (observation.sum(axis=1) % 3).astype(np.int64)


def evaluation(returns, seeds=None):
    return Evaluation(
        list(seeds or range(len(returns))),
        np.array(returns, float),
        np.ones(len(returns), np.int64),
        0,
    )


def test_a_summary_equals_the_one_worked_by_hand():
    summary = Evaluation(
        [7, 8, 9, 10, 11], np.array([10.0, 1, 3, 2, 4]), np.array([5, 6, 7, 8, 9]), 2
    ).summary()
    low, high = summary.pop("mean_ci95")
    # of 5 values, most resamples hold between none and three of the 10
    assert 1.4 < low < 2.4 and 6.0 < high < 7.6
    iqm_low, iqm_high = summary.pop("iqm_ci95")
    assert 1.0 <= iqm_low <= 2.0 and 4.0 <= iqm_high <= 10.0
    assert summary.pop("std") == pytest.approx(12.5**0.5)  # (36 + 9 + 1 + 4 + 0) / 4
    assert summary == {
        "episodes": 5,
        "epsilon": 0.0,
        "mean": 4.0,
        "iqm": 3.0,
        "min": 1.0,
        "max": 10.0,
        "mean_length": 7.0,
        "min_length": 5,
        "max_length": 9,
        "longest_episodes": 1,
        "longest_mean": 4.0,
        "capped_episodes": 2,
    }


@pytest.mark.parametrize(
    "values, expected",
    [
        ([5.0], 5.0),
        ([1, 2, 9], 4.0),  # ⌊3/4⌋ = 0: nothing is cut
        ([100, 1, 2, -50], 1.5),
        ([8, 1, 7, 2, 6, 3, 5, 4], 4.5),
        (
            [0, 0, 1, 1, 2, 2, 9],
            1.2,
        ),  # ⌊7/4⌋ = 1: rliable cuts whole values, it does not weigh them
    ],
)
def test_the_iqm_is_the_mean_without_a_quarter_at_each_end(values, expected):
    assert iqm(np.array(values, float)) == pytest.approx(expected)
    assert iqm(np.array([values, values], float), axis=1) == pytest.approx([expected] * 2)
    assert iqm(np.array([values], float).T, axis=0) == pytest.approx([expected])


@pytest.mark.parametrize("statistic", [np.mean, iqm])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(statistic):
    generator = np.random.default_rng(5)
    hits = [
        low <= 3.0 <= high
        for low, high in (bootstrap(generator.normal(3.0, 2.0, 40), statistic) for _ in range(150))
    ]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_the_interval_of_one_or_of_equal_values_is_that_value():
    assert bootstrap(np.array([7.0]), np.mean) == [7.0, 7.0]
    assert bootstrap(np.full(20, 500.0), iqm) == [500.0, 500.0]
    assert evaluation([7.0]).summary()["std"] == 0.0


def test_the_interval_is_the_same_each_time():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap(values, np.mean) == bootstrap(values.copy(), np.mean)


def test_many_episodes_are_resampled_in_pieces():
    low, high = bootstrap(np.random.default_rng(0).normal(size=3_000), np.mean)
    assert low == pytest.approx(-0.036, abs=0.04) and high - low == pytest.approx(
        2 * 1.96 / 3_000**0.5, rel=0.1
    )


def test_returns_and_lengths_stand_in_the_order_of_the_seeds():
    played = evaluate(
        lambda observation, mask: np.full(len(observation), 2), Countdown, [4, 0, 3, 1]
    )
    assert played.seeds == [4, 0, 3, 1]
    assert (
        played.lengths.tolist() == [6, 2, 5, 3]
        and played.returns.tolist() == [12, 4, 10, 6]
        and played.capped == 0
    )


def test_a_result_does_not_depend_on_how_many_are_played_together():
    seeds = list(range(100, 140))
    alone, few, many = (
        evaluate(remainder, Countdown, seeds, parallel=parallel) for parallel in (1, 7, 64)
    )
    for other in (few, many):
        assert (
            other.returns.tolist() == alone.returns.tolist()
            and other.lengths.tolist() == alone.lengths.tolist()
        )
    assert len(set(alone.returns)) > 3


def explored(epsilon, seeds, together=1, env=Countdown):
    envs = [CheckedEnv(env(), "env") for _ in range(together)]
    return play(remainder, envs, seeds, Rules(epsilon=epsilon))


def test_random_actions_do_not_depend_on_how_many_are_played_together():
    seeds = list(range(100, 140))
    alone = explored(0.5, seeds)
    assert explored(0.5, seeds, together=7).returns.tolist() == alone.returns.tolist()
    assert alone.returns.tolist() != explored(0.0, seeds).returns.tolist()


def test_a_share_of_epsilon_of_the_actions_is_drawn_evenly():
    """Of 10,000 steps, a quarter is random: the policy's own 0 is left for 1 and 2 in a sixth."""

    class Long(Countdown):
        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.left = 1_000
            return self.observed(), {}

    def zero(observation, mask):
        return np.zeros(len(observation), np.int64)

    played = play(zero, [CheckedEnv(Long(), "env")], range(10), Rules(epsilon=0.25))
    assert played.lengths.tolist() == [1_000] * 10
    # each step pays (1 + 2) / 3 * epsilon in the mean, with a variance of 0.25 * 5 / 3 - 0.25²
    assert played.mean == pytest.approx(250.0, abs=3 * (1_000 * 0.354 / 10) ** 0.5)
    assert len(set(played.returns)) > 5, "the episodes have generators of their own"


def test_random_actions_are_legal_and_numbered_as_the_environments_are():
    class Masked(gym.Env):
        """Allows 6 and 8 of its actions 5 to 8, and pays what is chosen."""

        observation_space = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        action_space = gym.spaces.Discrete(4, start=5)
        mask = np.array([0, 1, 0, 1], np.int8)

        def reset(self, *, seed=None, options=None):
            self.chosen = []
            return np.zeros(1, np.float32), {"action_mask": self.mask}

        def step(self, action):
            self.chosen.append(action)
            is_done = len(self.chosen) == 100
            return np.zeros(1, np.float32), 0.0, is_done, False, {"action_mask": self.mask}

    env = Masked()
    play(lambda obs, mask: np.full(len(obs), 6), [CheckedEnv(env, "env")], [0], Rules(epsilon=1.0))
    assert set(env.chosen) == {6, 8} and 30 < env.chosen.count(8) < 70


@pytest.mark.parametrize("epsilon", [-0.1, 1.1, float("nan")])
def test_an_epsilon_that_is_no_probability_is_refused(epsilon):
    with pytest.raises(UserError, match=f"^epsilon={epsilon:g}: must be from 0 to 1"):
        evaluate_anything(remainder, DQNConfig(), episodes=1, epsilon=epsilon)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seed": -1}, r"^seed=-1: must be at least 0\.$"),
        ({"max_episode_steps": 0}, r"^max_episode_steps=0: must be at least 1\.$"),
        ({"episodes": -1}, "needs at least one episode"),
    ],
)
def test_what_evaluate_py_refuses_is_refused(values, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluate_anything(remainder, DQNConfig(), **{"episodes": 1} | values)


def test_an_episode_is_cut_at_the_cap_and_counted_unless_it_ends_there_by_itself():
    played = evaluate(remainder, Countdown, [0, 1, 2, 3, 4], max_episode_steps=4)
    assert played.lengths.tolist() == [2, 3, 4, 4, 4]
    assert played.capped == 2  # seed 2 lasts 4 steps of its own


def test_the_policy_sees_float32_and_running_episodes_only():
    seen = []
    evaluate(
        lambda observation, mask: seen.append(observation) or np.zeros(len(observation), np.int64),
        Countdown,
        [0, 4],
    )
    assert {array.dtype.name for array in seen} == {"float32"}
    assert [len(array) for array in seen] == [2, 2, 1, 1, 1, 1]


def test_actions_reach_the_environment_as_its_action_space_samples_them():
    kinds = []

    class Fussy(Countdown):
        def step(self, action):
            kinds.append(type(action))
            return super().step(action)

    evaluate(remainder, Fussy, [0])
    assert kinds == [np.int64, np.int64] == [type(Fussy.action_space.sample())] * 2


def test_what_check_raises_ends_the_evaluation_and_closes_every_environment():
    Countdown.closed = 0
    with pytest.raises(KeyError):
        evaluate(remainder, Countdown, [0, 1, 2], check=lambda: {}["stop"])
    assert Countdown.closed == 3


class Faulty(Countdown):
    """Does `fault` in its second step."""

    def __init__(self, fault):
        self.fault = fault

    def reset(self, *, seed=None, options=None):
        if self.fault == "reset":
            raise OSError("rom not found")
        return super().reset(seed=seed)

    def step(self, action):
        observation, reward, *rest = super().step(action)
        if self.left == 3 and self.fault == "raise":
            raise ZeroDivisionError("division by zero")
        if self.left == 3:
            observation, reward = {
                "shape": (observation[:1], reward),
                "type": (observation.astype(complex), reward),
                "nan": (observation, np.nan),
                "rewards": (observation, np.ones(2)),
            }[self.fault]
        return observation, reward, *rest


@pytest.mark.parametrize(
    "fault, sentence",
    [
        ("reset", r"^The environment raised OSError in reset\(seed=3\): rom not found$"),
        (
            "raise",
            (
                r"^The environment raised ZeroDivisionError in step\(\d\): division by zero \(step"
                r" 2 of the episode reset with seed 3\)$"
            ),
        ),
        ("shape", r"observation of shape \[1\], but its space says \[2\] \(step 2"),
        ("type", r"observation of type complex128, but its space says float32"),
        ("nan", r"returned the reward nan: it must be one finite number"),
        ("rewards", r"returned the reward array\(\[1., 1.\]\): it must be one number"),
    ],
)
def test_a_faulty_environment_is_named_in_a_sentence(fault, sentence):
    with pytest.raises(UserError, match=sentence):
        evaluate(remainder, lambda: Faulty(fault), [3])


def test_no_seeds_is_refused():
    with pytest.raises(UserError, match="at least one episode"):
        evaluate(remainder, Countdown, [])


def test_joined_parts_are_the_whole():
    whole = evaluate(remainder, Countdown, [3, 1, 4, 2], max_episode_steps=4)
    again = join_evaluations(
        [evaluate(remainder, Countdown, seeds, max_episode_steps=4) for seeds in ([3], [1, 4, 2])]
    )
    assert again.seeds == whole.seeds and again.capped == whole.capped == 2
    assert (
        again.returns.tolist() == whole.returns.tolist()
        and again.lengths.tolist() == whole.lengths.tolist()
    )


def test_a_comparison_is_paired():
    base = np.arange(100.0) * 10  # episodes differ far more than the models do
    plus = base + np.tile([1.0, 2.0, 3.0, 0.0], 25)
    result = compare(evaluation(base), evaluation(plus))
    assert result["mean_difference"] == 1.5 and (
        result["wins"],
        result["ties"],
        result["losses"],
    ) == (75, 25, 0)
    low, high = result["ci95"]
    assert 1.2 < low < 1.35 and 1.65 < high < 1.8
    assert result["verdict"] == f"B is better by 1.50 [{low:.2f}, {high:.2f}]"


def test_the_first_can_be_the_better_one():
    result = compare(evaluation(np.arange(10.0) + 4), evaluation(np.arange(10.0)))
    assert (
        result["verdict"] == "A is better by 4.00 [4.00, 4.00]"
        and result["mean_difference"] == -4.0
        and result["losses"] == 10
    )


def test_no_difference_is_said_to_be_not_shown():
    noise = np.tile([5.0, -5.0], 50)
    assert (
        compare(evaluation(np.zeros(100)), evaluation(noise))["verdict"]
        == "no difference shown by 100 episodes"
    )
    assert compare(evaluation(noise), evaluation(noise))["ties"] == 100


def test_too_few_differing_episodes_give_no_verdict():
    assert (
        compare(evaluation([0]), evaluation([9]))["verdict"] == "no difference shown by 1 episode"
    )
    few, enough = ([9.0] * count + [0.0] * 10 for count in (FEWEST_DIFFERING - 1, FEWEST_DIFFERING))
    zeros = evaluation(np.zeros(10 + FEWEST_DIFFERING - 1))
    assert compare(zeros, evaluation(few))["verdict"].startswith("no difference shown")
    assert compare(evaluation(np.zeros(10 + FEWEST_DIFFERING)), evaluation(enough))[
        "verdict"
    ].startswith("B is better")


def test_different_seeds_are_not_compared():
    with pytest.raises(UserError, match="same seeds"):
        compare(evaluation([1, 2], [0, 1]), evaluation([1, 2], [0, 2]))


@pytest.mark.parametrize("statistic", [np.mean, iqm])
def test_the_interval_of_many_values_comes_in_seconds(statistic):
    values = np.random.default_rng(2).normal(3.0, 2.0, 50_000).round(1)
    start = time.process_time()
    low, high = bootstrap(values, statistic)
    assert time.process_time() - start < 15, "95 s with as many resamples as for a few values"
    half = 1.96 * values.std() / np.sqrt(len(values))
    # the IQM of normal values has 1.1 times the mean's standard error
    assert (high - low) / (2 * half) == pytest.approx(1.05, abs=0.12)
    assert low < statistic(values) < high and bootstrap(values, statistic) == [low, high]


def test_both_ways_to_the_interval_agree(monkeypatch):
    values = np.random.default_rng(3).exponential(5.0, 300)
    for statistic in (np.mean, iqm):
        few = bootstrap(values, statistic)
        monkeypatch.setattr(statistics, "MANY", 299)
        many = bootstrap(values, statistic)
        monkeypatch.undo()
        assert many == pytest.approx(few, abs=0.08 * (few[1] - few[0]))


def test_a_reset_is_no_step_of_the_progress(monkeypatch):
    monkeypatch.setattr(watch, "QUIET_SECONDS", 0.0)
    said = []
    progress = watch.ProgressWatch(2, said.append, "")
    env = CheckedEnv(gym.make("CartPole-v1"), "The environment")
    progress.after_step(env, env.reset(1))
    for _ in range(3):
        progress.after_step(env, env.step(0)[0], 0)
    assert " 0 steps" in said[0] and " 3 steps" in said[-1]
