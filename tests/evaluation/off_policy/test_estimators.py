"""Every estimator: three episodes by hand, and the exact value of a small MDP."""

import sys

import numpy as np
import pytest

from dqn_tf.evaluation.off_policy import estimators, fitted_q, importance, intervals
from dqn_tf.evaluation.off_policy import steps as steps_module
from dqn_tf.evaluation.off_policy.estimate import estimate
from dqn_tf.evaluation.off_policy.features import make_features
from dqn_tf.evaluation.off_policy.fitted_q import Fit, fit_q
from dqn_tf.evaluation.off_policy.join import join
from dqn_tf.evaluation.off_policy.steps import make_steps
from mutations import mutated
from tabular_mdp import asked, logged, random_policy, small_mdp

# Three episodes of 2, 1 and 3 steps, for which all is worked out on paper; gamma is 1/2.
STARTS = [0, 2, 3, 6]
REWARD = [1.0, 4.0, 2.0, 3.0, 1.0, 5.0]
RATIO = np.array([2.0, 0.5, 0.5, 1.0, 2.0, 0.0])
ENDS = [False, True, True, False, False, True]
WEIGHTS = [2.0, 1.0, 0.5, 1.0, 2.0, 0.0]
# Q-values that somebody fitted: of the step, of what follows, and of each first observation
FIT = Fit(
    value=np.array([2.0, 1.0, 3.0]),
    influence=np.zeros(3),
    weight=np.ones(6),
    crossed_q=np.array([1.0, 2.0, 1.0, 2.0, 2.0, 4.0]),
    crossed_next=np.array([3.0, 0.0, 0.0, 2.0, 4.0, 0.0]),
    crossed_value=np.array([2.0, 1.0, 3.0]),
)
BY_HAND = {
    "is": (1.0 * 3.0 + 0.5 * 2.0 + 0.0 * 4.75) / 3,
    "wis": (1.0 * 3.0 + 0.5 * 2.0) / 1.5,
    "pdis": ((2 + 2) + 1 + (3 + 1)) / 3,
    # an ended episode keeps its weight: 3.5 at the second step, 1.5 at the third
    "wpdis": (2 * 1 + 0.5 * 2 + 1 * 3) / 3.5 + 0.5 * (1 * 4 + 2 * 1) / 3.5 + 0.25 * 0 / 1.5,
    "fqe": 2.0,
    # TD errors: 1.5, 2; 1; 2, 1, 1
    "dr": ((2 + 2 * 1.5 + 0.5 * 1 * 2) + (1 + 0.5 * 1) + (3 + 1 * 2 + 0.5 * 2 * 1)) / 3,
    "wdr": 2 + (2 * 1.5 + 0.5 * 1 + 1 * 2) / 3.5 + 0.5 * (1 * 2 + 2 * 1) / 3.5,
}

MDP = small_mdp()
BEHAVIOUR, POLICY = random_policy(MDP, 1), random_policy(MDP, 2)


def three_episodes(gamma: float = 0.5):
    """Weights and steps of the three episodes."""
    episodes = logged([0] * 6, [0] * 6, REWARD, ENDS, STARTS, [0] * 3, [False] * 3)
    steps = make_steps(episodes, gamma)
    return importance.make_weights(RATIO, steps), steps


def check_by_hand() -> None:
    """All estimates of the three episodes."""
    weights, steps = three_episodes()
    found = estimators.by_importance(weights, steps) | estimators.by_model(weights, steps, FIT)
    assert set(found) == set(BY_HAND) == set(estimators.NAMES)
    for name, value in BY_HAND.items():
        assert abs(found[name].value - value) < 1e-12, (name, found[name].value, value)


def test_three_episodes_by_hand():
    check_by_hand()
    weights, steps = three_episodes()
    np.testing.assert_allclose(weights.row, WEIGHTS)
    found = estimators.by_importance(weights, steps)
    # (1 + 0.5 + 0)² / (1 + 0.25 + 0), and at the steps before (3.5)² / 5.25 both
    assert found["is"].effective == pytest.approx(1.8)
    np.testing.assert_allclose(weights.effective, [3.5**2 / 5.25, 3.5**2 / 5.25, 1.8])
    # the last step counts (0.25 · 0): no weight runs there
    assert found["pdis"].effective == pytest.approx(3.5**2 / 5.25)
    np.testing.assert_allclose(found["is"].weight, [1.0, 0.5, 0.0])


def test_ratios_that_no_float_can_hold_are_still_numbers():
    lengths = 3000
    episodes = logged(
        [0] * 2 * lengths,
        [0] * 2 * lengths,
        [1.0] * 2 * lengths,
        np.arange(2 * lengths) % lengths == lengths - 1,
        [0, lengths, 2 * lengths],
        [0, 0],
        [False, False],
    )
    steps = make_steps(episodes, 0.99)
    weights = importance.make_weights(np.repeat([1e9, 1e-9], lengths), steps)
    for name, found in estimators.by_importance(weights, steps).items():
        assert np.isfinite(found.by_episode[0]).all() and np.isfinite(found.effective), name
    assert estimators.by_importance(weights, steps)["wis"].effective == pytest.approx(1.0)


# Fitted Q evaluation by hand. The policy takes action 0; gamma is 1/2.
#   s0 -0, 1-> s1 -0, 2-> end;   s0 -1, 3-> end;   s1 -0, 0-> s0, and cut
# Q(s0, 0) = 1 + Q(s1, 0) / 2 and Q(s1, 0) = (2 + Q(s0, 0) / 2) / 2: 12/7 and 10/7.
FITTED_BY_HAND = {"known": (12 / 7 + 12 / 7 + 10 / 7) / 3, "unknown": 2.0, "as death": 1.5}


def fitted(has_final: bool, gamma: float = 0.5) -> Fit:
    """The fit to the three episodes above."""
    state, action, reward = [0, 1, 0, 1], [0, 0, 1, 0], [1.0, 2.0, 3.0, 0.0]
    ends = [False, True, True, False]
    episodes = logged(state, action, reward, ends, [0, 2, 3, 4], [0] * 3, [False, False, has_final])
    policy = np.tile([1.0, 0.0], (4, 1))
    [features] = make_features(episodes.observation, MDP.spaces)
    return fit_q(episodes, make_steps(episodes, gamma), asked(policy, episodes), features)


def check_cut_episodes() -> None:
    """A cut episode goes on with the value of its final observation."""
    assert abs(fitted(True).value.mean() - FITTED_BY_HAND["known"]) < 1e-6
    assert abs(fitted(False).value.mean() - FITTED_BY_HAND["unknown"]) < 1e-6


def test_fitted_q_by_hand():
    check_cut_episodes()


def test_undiscounted_a_cut_is_an_end():
    # Q(s1, 0) = (2 + 0) / 2, Q(s0, 0) = 1 + 1
    assert fitted(True, gamma=1.0).value.mean() == pytest.approx((2 + 2 + 1) / 3)


def test_doubly_robust_goes_on_after_a_cut():
    """With the exact Q-values, every episode of any length says the same but for chance."""
    episodes = MDP.log(BEHAVIOUR, 4000, seed=0, limit=2)
    assert (~episodes.terminated[episodes.last_rows]).mean() > 0.3
    found = estimate(episodes, asked(POLICY, episodes), MDP.spaces, 0.95)
    exact = MDP.value(POLICY, 0.95)
    for name in ("fqe", "dr", "wdr"):
        line = found[name]
        assert line.low <= exact <= line.high and line.high - line.low < 0.5, name
    assert found["pdis"].high < exact  # it counts no rewards after the cut, and says so
    assert "only the rewards until then" in str(found["pdis"].doubt)


def test_what_comes_after_the_end_of_the_data_is_not_made_up():
    """A cut episode without a final observation is as one that was cut a step earlier."""
    episodes = MDP.log(BEHAVIOUR, 50, seed=0, limit=2)
    cut = ~episodes.terminated[episodes.last_rows]
    unknown = logged(
        episodes.observation - 5,
        episodes.action,
        # a reward that nobody knows what it led to must not count
        np.where(np.isin(np.arange(len(episodes)), episodes.last_rows[cut]), 1e6, episodes.reward),
        episodes.terminated,
        episodes.starts,
        np.zeros(50, int),
        np.zeros(50, bool),
        propensity=episodes.propensity,
    )
    found = estimate(unknown, asked(POLICY, unknown), MDP.spaces, 0.95)
    assert max(abs(found[name].value) for name in ("fqe", "dr", "wdr")) < 100


@pytest.mark.parametrize("gamma, masked", [(0.9, False), (1.0, True)])
def test_the_mean_of_many_data_sets_is_the_exact_value(gamma, masked):
    """Unbiased are importance sampling, per decision, and doubly robust with crossed Q-values."""
    mdp = small_mdp(masked=masked)
    behaviour, policy = random_policy(mdp, 1), random_policy(mdp, 2)
    exact = mdp.value(policy, gamma)
    found = {"is": [], "pdis": [], "dr": []}
    for seed in range(200):
        episodes = mdp.log(behaviour, 30, seed)
        steps = make_steps(episodes, gamma)
        target = asked(policy, episodes)
        rows = np.arange(len(steps))
        ratio = target.row[rows, steps.action] / episodes.propensity
        weights = importance.make_weights(ratio, steps)
        [features] = make_features(episodes.observation, mdp.spaces)
        fit = fit_q(episodes, steps, target, features)
        all_of_them = estimators.by_importance(weights, steps)
        all_of_them |= estimators.by_model(weights, steps, fit)
        for name, values in found.items():
            values.append(all_of_them[name].value)
    for name, values in found.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - exact) < 2.5 * error, name


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("has_propensities", [True, False])
def test_much_data_gives_the_exact_value(masked, has_propensities, monkeypatch):
    """Every estimator is consistent, with a behaviour that was fitted too."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1)
    mdp = small_mdp(masked=masked)
    behaviour, policy = random_policy(mdp, 1), random_policy(mdp, 2)
    episodes = mdp.log(behaviour, 20_000, seed=1)
    if not has_propensities:
        columns = {name: getattr(episodes, name) for name in ("action_mask", "final_mask")}
        episodes = logged(
            episodes.observation - 5,
            episodes.action,
            episodes.reward,
            episodes.terminated,
            episodes.starts,
            episodes.final_observation - 5,
            episodes.has_final,
            **columns,
        )
    found = estimate(episodes, asked(policy, episodes), mdp.spaces, 0.9)
    for line in found.lines:
        assert line.value == pytest.approx(mdp.value(policy, 0.9), rel=0.05), line.estimator
    assert found["fqe"].doubt.care == ()


@pytest.mark.parametrize("count", [100, 200])
def test_intervals_cover_the_exact_value(count, monkeypatch):
    """In at least 90 of 100 data sets, for each estimator."""
    monkeypatch.setattr(intervals, "RESAMPLES", 1000)
    exact = MDP.value(POLICY, 0.9)
    covered = dict.fromkeys(estimators.NAMES, 0)
    for seed in range(100):
        episodes = MDP.log(BEHAVIOUR, count, seed)
        found = estimate(episodes, asked(POLICY, episodes), MDP.spaces, 0.9)
        for line in found.lines:
            covered[line.estimator] += line.low <= exact <= line.high
    assert min(covered.values()) >= 90, covered


def check_coverage_of_heavy_weights() -> None:
    """Log-normal weights of 100 episodes that are worth 30 to 60, and returns that grow with them.

    The episode's reward is z and its weight exp(z - 1/2), of a standard normal z: the mean is 1.
    """
    count = 100
    columns = []
    for seed in range(100):
        z = np.random.default_rng(seed).normal(size=count)
        ends, states = np.ones(count, bool), np.zeros(count, int)
        episodes = logged(states, states, z, ends, np.arange(count + 1), states, ~ends)
        steps = make_steps(episodes, 0.9)
        weights = importance.make_weights(np.exp(z - 0.5), steps)
        found = importance.ordinary(weights, steps), importance.weighted(weights, steps)
        columns += [each.by_episode[0] for each in found]
    found = intervals.mean_intervals(np.stack(columns, axis=1)).reshape(100, 2, 2)
    is_covered = (found[..., 0] <= 1.0) & (found[..., 1] >= 1.0)
    assert is_covered.mean(axis=0).min() >= 0.9, is_covered.mean(axis=0)


def test_intervals_cover_where_weights_are_heavy():
    check_coverage_of_heavy_weights()


def test_an_influence_is_what_one_more_episode_does():
    """That of fitted Q evaluation is a derivative: an interval needs no fit for each resample."""
    episodes = MDP.log(BEHAVIOUR, 12, seed=4)
    fit = _fit(episodes)
    many = [episodes] * 50
    for number in (0, 5):
        start, stop = episodes.starts[number : number + 2]
        rows = slice(start, stop)
        one = logged(
            episodes.observation[rows] - 5,
            episodes.action[rows],
            episodes.reward[rows],
            episodes.terminated[rows],
            [0, stop - start],
            episodes.final_observation[[number]] - 5,
            episodes.has_final[[number]],
            propensity=episodes.propensity[rows],
        )
        moved = _fit(join([*many, one])).value.mean() - fit.value.mean()
        assert moved == pytest.approx(fit.influence[number] / (50 * 12), rel=0.02)
    assert fit.influence.mean() == pytest.approx(0.0, abs=1e-9)


def _fit(episodes):
    [features] = make_features(episodes.observation, MDP.spaces)
    return fit_q(episodes, make_steps(episodes, 0.9), asked(POLICY, episodes), features)


# What the examples by hand must notice
MISTAKES = {
    "the product to the end at every step": (
        importance,
        "per_decision",
        check_by_hand,
        ("weights.row * term", "weights.end[steps.episode] * term"),
    ),
    "the ratio of the step alone": (
        importance,
        "_products",
        check_by_hand,
        ("np.exp(np.minimum(_sums_so_far(logarithm, steps), LARGEST))", "ratio"),
    ),
    "weights that go on into the next episode": (
        importance,
        "_sums_so_far",
        check_by_hand,
        (" - before[steps.starts[steps.episode]]", ""),
    ),
    "ended episodes that drop out of the mean weight": (
        importance,
        "_by_time",
        check_by_hand,
        ("running + ended", "running + 0.0 * ended"),
    ),
    "returns without a discount": (
        importance,
        "ordinary",
        check_by_hand,
        ("steps.discount * steps.reward", "steps.reward"),
    ),
    "a baseline without what comes after": (
        estimators,
        "by_model",
        check_by_hand,
        (" + steps.gamma * fit.crossed_next", ""),
    ),
    "a cut taken for the end": (
        steps_module,
        "make_steps",
        check_cut_episodes,
        (" & (gamma < 1.0)", " & (gamma < 0.0)"),
    ),
    "an interval that knows of no episode but those in the data": (
        intervals,
        "mean_intervals",
        check_coverage_of_heavy_weights,
        (" + centred.max(axis=0) / count", ""),
    ),
    "the value after a step by the behaviour's action": (
        fitted_q,
        "_rows",
        check_cut_episodes,
        ("np.roll(target.row[chunk.rows], -1, axis=0)", "target.row[chunk.rows] * 0.0"),
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(name, monkeypatch):
    owner, attribute, check, *replacements = MISTAKES[name]
    original = getattr(owner, attribute)
    mutant = mutated(original, *replacements)
    for module_name, module in list(sys.modules.items()):
        is_ours = module_name.startswith("dqn_tf.") or module_name == __name__
        if is_ours and getattr(module, attribute, None) is original:
            monkeypatch.setattr(module, attribute, mutant)
    with pytest.raises(AssertionError):
        check()
