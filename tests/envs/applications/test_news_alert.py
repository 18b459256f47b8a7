"""dqn_tf/NewsAlert-v0: what an alert pays, and the exact returns against played streams."""

import numpy as np
import pytest

from dqn_tf.envs.applications import regime_beliefs
from dqn_tf.envs.applications.news_alert import ALERT, WAIT, NewsAlert
from dqn_tf.envs.applications.regime_beliefs import belief_rules, best_stopping, count_rule
from dqn_tf.support.errors import UserError


def played(env, seeds: int, choose) -> tuple[float, float]:
    """The mean return of a player, and 3.5 standard deviations of it."""
    returns = []
    for seed in range(seeds):
        env.reset(seed=seed)
        returns.append(0.0)
        is_over = False
        while not is_over:
            _, reward, terminated, truncated, _ = env.step(choose())
            returns[-1] += reward
            is_over = terminated or truncated
    return float(np.mean(returns)), 3.5 * float(np.std(returns)) / seeds**0.5


@pytest.mark.parametrize("noise, optimum", [(0.0, 0.4671), (0.1, 0.3561)])
def test_the_best_player_returns_the_optimum(noise, optimum):
    env = NewsAlert(noise=noise)
    assert env.optimal_return() == pytest.approx(optimum, abs=1e-4)
    mean, margin = played(env, 2_000, env.best_action)
    assert mean == pytest.approx(optimum, abs=margin)


def test_the_grid_is_fine_enough(monkeypatch):
    optimum = best_stopping(0.0).optimum
    monkeypatch.setattr(regime_beliefs, "POINTS", 2_001)
    assert best_stopping(0.0).optimum == pytest.approx(optimum, abs=1e-6)


def test_the_optimum_of_short_streams_is_that_of_all_rules(monkeypatch):
    """With three texts: every set of histories at which to alert, by brute force."""
    monkeypatch.setattr(regime_beliefs, "TEXTS", 3)
    histories = [(length, bits) for length in (1, 2, 3) for bits in range(2**length)]

    def returns(alerts: frozenset) -> float:
        paid = 0.0
        for change in range(4):  # before which text the market turns; 3: never
            turns = 0.95**change * (0.05 if change < 3 else 1.0)
            for bits in range(8):
                chance, reward, seen = turns, 0.0, 0
                is_over = False
                for text in range(3):
                    negative = (bits >> text) & 1
                    share = 0.6 if text >= change else 0.2
                    chance *= share if negative else 1 - share
                    seen = seen * 2 + negative
                    if is_over:
                        continue
                    is_over = (text + 1, seen) in alerts
                    if is_over:
                        reward += 1.0 if text >= change else -1.0
                    elif text >= change:
                        reward -= 0.05
                paid += chance * reward
        return paid

    best = max(
        returns(frozenset(h for place, h in enumerate(histories) if (chosen >> place) & 1))
        for chosen in range(0, 2 ** len(histories), 1)
        if chosen & 3 == 0  # an alert after one text is wrong in nine of ten
    )
    assert best_stopping(0.0).optimum == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    ("rule", "noise", "expected"),
    [
        (count_rule(1, 1), 0.0, -0.590),
        (count_rule(3, 5), 0.0, 0.286),
        (count_rule(3, 4), 0.0, 0.364),
        (count_rule(4, 6), 0.0, 0.429),
        (count_rule(4, 6), 0.1, 0.280),
        (np.zeros(2, bool), 0.0, -1.172),
    ],
    ids=["first negative", "3 of 5", "3 of 4", "4 of 6", "noise", "never"],
)
def test_rules_return_what_the_table_says(rule, noise, expected):
    assert regime_beliefs.rule_return(rule, noise) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("rule", [count_rule(4, 6), belief_rules(6, 0.8, 0.1)])
def test_rules_are_what_streams_return(rule):
    env = NewsAlert("zh", "test")
    negatives = set(env.sentences["negative"])

    def choose() -> int:
        window = 0
        for text in env._texts[-6:]:
            window = window * 2 + (text in negatives)
        now = rule[len(env._texts) - 1] if isinstance(rule, list) else rule
        return ALERT if now[window] else WAIT

    mean, margin = played(env, 2_000, choose)
    assert mean == pytest.approx(regime_beliefs.rule_return(rule), abs=margin)


def test_a_stream():
    env = NewsAlert(texts=3)
    _, info = env.reset(seed=0)
    texts = [info["text"]]
    for _ in range(39):
        _, reward, terminated, truncated, info = env.step(WAIT)
        assert not terminated and not truncated
        assert reward in (0.0, -0.05)
        texts.append(info["text"].split(" | ")[-1])
        assert info["text"] == " | ".join(texts[-3:])
    assert env.step(WAIT)[2:4] == (True, False)  # nothing follows that could be worth anything
    assert env.is_stress
    env.reset(seed=0)
    paid = env.step(ALERT)
    assert paid[1:4] == (1.0 if env.is_stress else -1.0, True, False)


def test_with_all_texts_an_observation_begins_the_next_one():
    env = NewsAlert()
    observation, _ = env.reset(seed=0)
    for _ in range(39):
        following, *_ = env.step(WAIT)
        length = (observation > 0).sum()
        assert (following[:length] == observation[:length]).all()
        observation = following


def test_mistakes_are_told_in_a_sentence():
    for arguments, sentence in (
        ({"texts": 0}, "texts=0 must be a whole number from 1 to 40"),
        ({"texts": True}, "texts=True must be a whole number"),
        ({"noise": 0.5}, "noise=0.5 must be at least 0 and below 0.5"),
        ({"noise": "much"}, "noise='much' must be at least 0"),
    ):
        with pytest.raises(UserError, match=sentence):
            NewsAlert(**arguments)
