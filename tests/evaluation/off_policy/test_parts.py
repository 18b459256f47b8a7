"""The parts of an off-policy estimate: probabilities, features, intervals, and what is doubted."""

import dataclasses

import numpy as np
import pytest

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.off_policy.behaviour import fit_behaviour
from dqn_tf.evaluation.off_policy.doubt import Sample, judge
from dqn_tf.evaluation.off_policy.estimate import estimate
from dqn_tf.evaluation.off_policy.features import make_features
from dqn_tf.evaluation.off_policy.importance import effective_sample_size
from dqn_tf.evaluation.off_policy.intervals import mean_intervals
from dqn_tf.evaluation.off_policy.join import join
from dqn_tf.evaluation.off_policy.steps import make_steps
from dqn_tf.evaluation.off_policy.target import (
    TargetProbabilities,
    epsilon_greedy,
    target_probabilities,
)
from dqn_tf.support.errors import UserError
from logged_episodes import TERMINATED, TRUNCATED, random_episodes
from tabular_mdp import asked, random_policy, small_mdp

MDP = small_mdp()
BEHAVIOUR, POLICY = random_policy(MDP, 1), random_policy(MDP, 2)
MASKED = Spaces((3,), "float32", 4, action_start=7, masked=True)
VECTORS = Spaces((2,), "float32", 2)


# What the evaluated policy would do


def test_random_actions_are_among_the_legal_ones():
    mask = np.array([[True, True, False, True], [False, False, True, False]])
    found = epsilon_greedy(np.array([1, 2]), 4, 0.3, mask)
    np.testing.assert_allclose(found, [[0.1, 0.8, 0.0, 0.1], [0.0, 0.0, 1.0, 0.0]])
    np.testing.assert_allclose(epsilon_greedy(np.array([1]), 2, 0.3, None), [[0.15, 0.85]])


def test_the_policy_is_asked_in_its_own_numbers_with_masks_and_after_the_end_too():
    episodes = random_episodes(MASKED, 9, seed=0)
    seen = []

    def last_legal(observation, mask):
        seen.append(observation)
        return mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1) + MASKED.action_start

    found = target_probabilities(last_legal, episodes, MASKED, epsilon=0.2)
    assert found.row.shape == (len(episodes), 4) and found.final.shape == (9, 4)
    np.testing.assert_allclose(found.row.sum(axis=1), 1.0)
    assert not found.row[~episodes.action_mask].any()
    last = 3 - episodes.action_mask[:, ::-1].argmax(axis=1)
    assert (found.row.argmax(axis=1) == last).all()
    # nobody is asked after the end, or where nothing is known of it
    assert sum(map(len, seen)) == len(episodes) + episodes.has_final.sum()
    assert not (episodes.has_final & episodes.terminated[episodes.last_rows]).any()


# What the behaviour did


def test_a_fitted_behaviour_has_not_seen_the_row_it_is_asked_about():
    """Of two actions, each episode took one once: the others say what that one did not."""
    mdp = dataclasses.replace(MDP, move=np.zeros((4, 2, 5)) + np.eye(5)[4])
    episodes = mdp.log(BEHAVIOUR, 10, seed=0)
    steps = make_steps(episodes, 0.9)
    [features] = make_features(episodes.observation, mdp.spaces)
    found = fit_behaviour(episodes, steps, features, 2)
    state, action = episodes.observation, episodes.action
    for row in range(10):
        # each fifth episode is of the same part
        others = (state == state[row]) & (np.arange(10) % 5 != row % 5)
        taken = ((action == action[row]) & others).sum()
        assert found[row, action[row]] == pytest.approx((taken + 0.5) / (others.sum() + 1.0))


def test_a_regression_finds_a_behaviour_that_depends_on_what_is_seen():
    episodes = random_episodes(VECTORS, 600, seed=1, ends=(TERMINATED,))
    right = 1.0 / (1.0 + np.exp(-2.0 * episodes.observation[:, 0]))
    drawn = np.random.default_rng(0).random(len(episodes)) < right
    episodes = dataclasses.replace(episodes, action=drawn.astype(np.int32))
    _, features = make_features(episodes.observation, VECTORS)
    found = fit_behaviour(episodes, make_steps(episodes, 0.9), features, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert np.abs(found[:, 1] - right).mean() < 0.05


def test_a_regression_gives_illegal_actions_nothing():
    episodes = random_episodes(MASKED, 100, seed=1)
    _, features = make_features(episodes.observation, MASKED)
    found = fit_behaviour(episodes, make_steps(episodes, 0.9), features, 4)
    assert not found[~episodes.action_mask].any() and (found[episodes.action_mask] > 0).all()


# Features of anything


@pytest.mark.parametrize("actions", [2, 18])
@pytest.mark.parametrize("shape, dtype", [((), "float32"), ((84, 84, 4), "uint8"), ((9,), "bool")])
def test_every_observation_has_features(shape, dtype, actions):
    observation = np.random.default_rng(0).integers(0, 2, (800, *shape)).astype(dtype)
    made = make_features(observation, Spaces(shape, dtype, actions))
    observation = observation[:40]
    for features in made:
        assert features.count * actions <= 1300
        assert features(observation).shape == (40, features.count)
        assert features(observation[:0]).shape == (0, features.count)
        assert features.is_thinned or shape != (84, 84, 4)
        assert np.isfinite(features(np.zeros((2, *shape), dtype))).all()


def test_tokens_are_no_table():
    """A table would need an entry for each sequence."""
    observation = np.random.default_rng(0).integers(3, size=(500, 4))
    made = make_features(observation, Spaces((4,), "int64", 2, categories=3))
    assert [features.is_table for features in made] == [False, False]
    assert [features(observation).shape for features in made] == [(500, f.count) for f in made]


def test_a_table_is_made_where_it_fits():
    observation = np.arange(100)
    (table,) = make_features(observation, Spaces((), "int64", 4, categories=100))
    assert table.is_table and (table(observation) == np.eye(100)).all()
    for features in make_features(observation, Spaces((), "int64", 4, categories=100_000)):
        assert not features.is_table and features(observation).shape == (100, features.count)


# Several sources


def test_episodes_of_several_sources_are_put_together():
    first, second = (random_episodes(MASKED, count, count) for count in (3, 5))
    both = join([first, second])
    assert both.count == 8 and len(both) == len(first) + len(second)
    np.testing.assert_array_equal(both.returns, np.concatenate([first.returns, second.returns]))
    np.testing.assert_array_equal(both.has_next, np.concatenate([first.has_next, second.has_next]))
    assert join([first]) is first and both.digest != join([second, first]).digest
    without = dataclasses.replace(second, action_mask=None, final_mask=None)
    with pytest.raises(UserError, match="says which actions are legal"):
        join([first, without])


def test_propensities_count_only_if_all_have_them():
    first = MDP.log(BEHAVIOUR, 3, seed=0)
    assert join([first, first]).propensity is not None
    assert join([first, dataclasses.replace(first, propensity=None)]).propensity is None


# Intervals


def test_an_interval_of_a_mean_is_that_of_the_normal_distribution_where_there_is_much():
    values = np.random.default_rng(0).normal(3.0, 2.0, (5000, 2))
    found = mean_intervals(values)
    for (low, high), column in zip(found, values.T, strict=True):
        error = column.std(ddof=1) / np.sqrt(5000)
        assert low == pytest.approx(column.mean() - 1.96 * error, abs=0.15 * error)
        assert high == pytest.approx(column.mean() + 1.96 * error, abs=0.15 * error)


def test_an_interval_reaches_where_the_tail_is():
    values = np.random.default_rng(0).exponential(1.0, (30, 1)) ** 3
    ((low, high),) = mean_intervals(values)
    assert high - values.mean() > 2 * (values.mean() - low)


def test_an_interval_reaches_as_far_as_one_more_extreme_episode_moves_the_mean():
    """Beyond what resamples of nine values 0 and one 10 say by themselves."""
    values = np.repeat([[0.0], [10.0]], [9, 1], axis=0)
    ((low, high),) = mean_intervals(values)
    means = np.percentile(np.random.default_rng(1).binomial(10, 0.1, 100_000), [2.5, 97.5])
    assert low <= means[0] + (0.0 - 1.0) / 10 and high >= means[1] + (10.0 - 1.0) / 10


@pytest.mark.parametrize("size", [0.0, 1e200])
def test_an_interval_of_anything_is_of_numbers(size):
    values = np.zeros((50, 1))
    values[7] = size
    ((low, high),) = mean_intervals(values)
    assert np.isfinite([low, high]).all() and low <= values.mean() <= high
    assert (mean_intervals(values[:1]) == [[0.0, 0.0]]).all()


def test_the_effective_sample_size_is_that_of_kong():
    assert effective_sample_size(np.ones(7)) == 7.0
    assert effective_sample_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)
    assert effective_sample_size(np.zeros(4)) == 0.0


# When a number means nothing


def judged(episodes, policy=POLICY, gamma=0.9, spaces=MDP.spaces):
    """The sentence on each estimator."""
    found = estimate(episodes, asked(policy, episodes), spaces, gamma)
    return {line.estimator: str(line.doubt) for line in found.lines}


def test_nothing_is_doubted_without_reason():
    assert set(judged(MDP.log(BEHAVIOUR, 400, seed=0)).values()) == {"no doubt found"}


def test_too_few_episodes():
    for sentence in judged(MDP.log(BEHAVIOUR, 19, seed=0)).values():
        assert sentence.startswith("means nothing: 19 episodes are too few, fewer than 20")
    assert "1 episode is too few" in judged(MDP.log(BEHAVIOUR, 1, seed=0))["fqe"]


def test_actions_that_the_behaviour_never_takes():
    never = np.tile([1.0, 0.0], (4, 1))
    for sentence in judged(MDP.log(never, 400, seed=0), np.full((4, 2), 0.5)).values():
        assert "50% of the policy's choices are actions that the behaviour never takes" in sentence
        assert sentence.startswith("means nothing: ")


def test_actions_that_the_behaviour_never_takes_are_seen_without_a_table():
    """By ratios that have no mean of 1, or by a fitted behaviour that hardly ever takes them."""
    episodes = random_episodes(VECTORS, 400, seed=1, ends=(TERMINATED,))
    ones = np.ones(len(episodes))
    episodes = dataclasses.replace(
        episodes, action=np.zeros(len(episodes), np.int32), propensity=ones
    )
    target = target_probabilities(
        lambda observation, _: np.zeros(len(observation), int), episodes, VECTORS, epsilon=0.2
    )
    for logged in (episodes, dataclasses.replace(episodes, propensity=None)):
        for line in estimate(logged, target, VECTORS, 0.9).lines:
            assert "10% of the policy's choices" in str(line.doubt)


def test_propensities_that_are_not_the_behaviours():
    episodes = MDP.log(BEHAVIOUR, 400, seed=0)
    wrong = dataclasses.replace(episodes, propensity=episodes.propensity * 0.5)
    for sentence in judged(wrong).values():
        assert "the propensities are not the behaviour's" in sentence and "mean 1.97" in sentence


def test_choices_that_are_hardly_in_the_data():
    """A long product of ratios: a few episodes carry all weight."""
    rare = np.tile([0.9, 0.1], (4, 1))
    found = judged(MDP.log(rare, 100, seed=0), rare[:, ::-1])
    for name in ("is", "wis", "pdis", "wpdis", "dr", "wdr"):
        assert "100 episodes are worth " in found[name], name
        assert found[name].startswith("means nothing: ")


@pytest.mark.parametrize("episodes, fewest", [(100, 30), (300, 45), (1000, 100)])
def test_of_more_episodes_more_must_be_left(episodes, fewest):
    """Weights that leave 3 % of many episodes are heavier than any interval can tell."""
    logged = MDP.log(BEHAVIOUR, episodes, seed=0)
    facts = estimate(logged, asked(POLICY, logged), MDP.spaces, 0.9).facts
    for effective, is_void in ((fewest - 1.0, True), (fewest + 1.0, False)):
        doubt = judge(facts, 1.0, effective, Sample(1.0, 0.9, 1.1), is_fitted=False)
        assert bool(doubt.void) == is_void
        assert (f"fewer than {fewest}" in str(doubt)) == is_void


@pytest.mark.parametrize("mean", [1.0, 1.0 + 1e-12, 1.0 - 1e-12, 1.001])
def test_equal_weights_have_the_mean_one_but_for_rounding(mean):
    """Data of the policy itself weigh the same, and their interval is a point."""
    logged = MDP.log(BEHAVIOUR, 100, seed=0)
    facts = estimate(logged, asked(BEHAVIOUR, logged), MDP.spaces, 0.9).facts
    doubt = judge(facts, 1.0, 100.0, Sample(mean, mean, mean), is_fitted=False)
    assert bool(doubt.void) == (mean == 1.001)


def test_data_of_the_policy_itself_are_not_doubted():
    found = judged(MDP.log(BEHAVIOUR, 200, seed=0), BEHAVIOUR)
    for name in ("is", "wis", "pdis", "wpdis", "dr", "wdr"):
        assert not found[name].startswith("means nothing"), (name, found[name])


def test_a_model_of_what_a_few_episodes_saw_means_nothing():
    """Worth 3.2 episodes, its 95 % intervals had the true value in 80 of 94 data sets."""
    logged = MDP.log(BEHAVIOUR, 100, seed=0)
    facts = estimate(logged, asked(POLICY, logged), MDP.spaces, 0.9).facts
    for effective, is_void in ((4.9, True), (5.1, False)):
        doubt = judge(facts, 1.0, effective, None, is_fitted=True)
        assert bool(doubt.void) == is_void
    assert "worth 4.9 of the policy's own, fewer than 5" in str(judge(facts, 1.0, 4.9, None, True))


def test_after_cuts_doubly_robust_is_no_better_than_its_model():
    """Logged rewards correct the model before a cut only."""
    logged = MDP.log(BEHAVIOUR, 100, seed=0, limit=2)
    steps = estimate(logged, asked(POLICY, logged), MDP.spaces, 0.9).facts
    even = Sample(1.0, 0.9, 1.1)
    poor = judge(steps, 1.0, 100.0, even, is_fitted=True, of_model=0.2)
    assert "fitted Q-values stand alone, which are worth 0.2 of the policy's" in str(poor)
    assert not judge(steps, 1.0, 100.0, even, is_fitted=True, of_model=5.1).void
    assert not judge(steps, 1.0, 100.0, even, is_fitted=False, of_model=0.2).void
    rough = dataclasses.replace(steps, is_table=False)
    assert "there fitted Q-values stand alone" in str(judge(rough, 1.0, 100.0, even, True, 5.1))
    ended = estimate(logged, asked(POLICY, logged), MDP.spaces, 1.0).facts
    assert not judge(ended, 1.0, 100.0, even, is_fitted=True, of_model=0.2).void


def test_cuts_where_the_data_never_act_leave_a_table_without_an_answer():
    """As of FrozenLake that is cut after 4 steps: what comes after is worth 0 in the table."""
    logged = MDP.log(BEHAVIOUR, 200, seed=0, limit=2)
    assert judged(logged)["fqe"] == "no doubt found"
    elsewhere = np.where(logged.has_final, logged.observation.max() + 1, logged.final_observation)
    logged = dataclasses.replace(logged, final_observation=elsewhere)
    spaces = dataclasses.replace(MDP.spaces, categories=MDP.spaces.categories + 1)
    found = judged(logged, np.vstack([POLICY, POLICY[:1]]), spaces=spaces)
    for name in ("fqe", "dr", "wdr"):
        assert "100% of the cuts are where the data never act" in found[name]


def test_a_value_beyond_any_return_means_nothing():
    logged = MDP.log(BEHAVIOUR, 100, seed=0)
    facts = estimate(logged, asked(POLICY, logged), MDP.spaces, 0.9).facts
    most = facts.largest_reward / (1.0 - 0.9)
    for value, is_void in ((1.05 * most, False), (-1.2 * most, True)):
        assert bool(judge(facts, value, 100.0, None, is_fitted=True).void) == is_void


def test_an_observation_like_no_other_makes_no_estimate_nan():
    """Its fitted propensity is 0 in floating point."""
    logged = random_episodes(VECTORS, 200, seed=1, ends=(TERMINATED,))
    right = 1 / (1 + np.exp(-2 * logged.observation[:, 0].astype(float)))
    action = (np.random.default_rng(0).random(len(logged)) < right).astype(np.int32)
    observation = logged.observation.copy()
    observation[0, 0], action[0] = 1e5, 0
    logged = dataclasses.replace(logged, observation=observation, action=action, propensity=None)
    row = np.stack([1 - right, right], axis=1) * 0.9 + 0.05
    first = np.full((logged.count, 2), 0.5)
    found = estimate(logged, TargetProbabilities(row, first), VECTORS, 0.9)
    for line in found.lines:
        assert np.isfinite([line.value, line.low, line.high]).all(), line


def test_missing_propensities_are_said():
    found = judged(dataclasses.replace(MDP.log(BEHAVIOUR, 400, seed=0), propensity=None))
    for name, sentence in found.items():
        assert ("no propensities were logged" in sentence) == (name != "fqe")


def test_an_endless_loop_without_a_discount_is_no_number():
    """Every episode is cut, and a model of an endless loop would add up rewards for ever."""
    episodes = random_episodes(VECTORS, 60, seed=1, ends=(TRUNCATED,))
    rows = np.ones(len(episodes))
    episodes = dataclasses.replace(episodes, reward=rows.astype(np.float32), propensity=rows * 0.5)
    target = target_probabilities(
        lambda observation, _: np.zeros(len(observation), int), episodes, VECTORS, epsilon=1.0
    )
    found = estimate(episodes, target, VECTORS, 0.999999)
    assert "are counted" in str(found["pdis"].doubt)
    # without a discount, a cut is an end
    finite = estimate(episodes, target, VECTORS, 1.0)
    assert finite["pdis"].value == pytest.approx(episodes.lengths.mean(), rel=0.1)


def test_a_fit_that_is_no_number_is_said(monkeypatch):
    """As of a policy that never leaves a loop, undiscounted: the system has no solution."""
    loop = MDP.move * 0.0
    loop[:, 0, 0] = 1.0  # action 0 leads to state 0 for ever, action 1 to the end
    loop[:, 1, 4] = 1.0
    mdp = dataclasses.replace(MDP, move=loop)
    episodes = mdp.log(np.full((4, 2), 0.5), 200, seed=0)
    for policy in (np.tile([1.0, 0.0], (4, 1)), np.tile([0.999, 0.001], (4, 1))):
        found = estimate(episodes, asked(policy, episodes), mdp.spaces, 1.0)
        assert found["fqe"].doubt.void and "larger than any return" in str(found["fqe"].doubt)
