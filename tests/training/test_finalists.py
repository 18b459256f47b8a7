"""Which weights are the best: those that still are on episodes that chose none of them."""

import math

import numpy as np

from dqn_tf.training import finalists
from dqn_tf.training.finalists import Finalist, Finalists, choose


def weights(number):
    return [np.full(3, number, np.float32), np.array([number], np.float32)]


def test_the_highest_are_kept_and_of_equals_the_latest():
    kept = Finalists(2)
    for env_step, mean in enumerate((1.0, 5.0, 3.0, 5.0, 2.0)):
        kept.add(env_step, mean, weights(env_step))
    assert [(one.env_step, one.mean) for one in kept.all] == [(3, 5.0), (1, 5.0)]
    again = Finalists(2)
    again.restore(*kept.state())
    assert again.all[1].weights[0].tobytes() == weights(1)[0].tobytes()
    assert again.state()[0] == kept.state()[0]


def test_of_large_weights_fewer_are_kept(monkeypatch):
    monkeypatch.setattr(finalists, "MOST_BYTES", 40)  # of 16 bytes each
    kept = Finalists(4)
    for env_step in range(3):
        kept.add(env_step, float(env_step), weights(env_step))
    assert [one.env_step for one in kept.all] == [2, 1]
    monkeypatch.setattr(finalists, "MOST_BYTES", 1)
    kept.add(3, 0.0, weights(3))
    assert [one.env_step for one in kept.all] == [2]


def test_all_play_the_same_episodes_and_half_of_them_go_on():
    returns = np.random.default_rng(1).normal(size=(5, 10)) + np.arange(5)[:, np.newaxis]
    played = []

    def play(arrays, episodes):
        number = int(arrays[0][0])
        played.append((number, episodes))
        return returns[number, episodes.start : episodes.stop]

    chosen = choose([Finalist(n, -math.inf, weights(n)) for n in range(5)], play, 10)
    assert chosen.env_step == 4 and chosen.mean == returns[4].mean()
    assert chosen.fresh_episodes == 10
    better = np.argsort(-returns[:, :3].mean(axis=1))[:3].tolist()
    expected = [(number, range(3)) for number in range(5)]
    expected += [(number, range(3, 10)) for number in better]
    assert played == expected


def test_episodes_that_were_left_out_are_not_counted():
    entrants = [Finalist(step, 0.0, weights(step)) for step in (100, 200)]
    chosen = choose(entrants, lambda _, episodes: np.ones(min(3, len(episodes))), 100)
    assert chosen.fresh_episodes == 6


def test_of_equals_the_latest_is_chosen_and_one_episode_is_enough():
    entrants = [Finalist(step, 9.0, weights(step)) for step in (300, 100, 400)]
    assert choose(entrants, lambda _, episodes: np.ones(len(episodes)), 1).env_step == 400


def test_luck_chooses_less_often():
    """Twenty evaluations of weights that get better, with returns as uneven as LunarLander's."""
    generator = np.random.default_rng(5)
    true = np.linspace(150.0, 250.0, 20)
    by_luck, compared = [], []
    for _ in range(300):
        kept = Finalists(4)
        for number, mean in enumerate(true):
            kept.add(number, generator.normal(mean, 80.0, 20).mean(), weights(number))
        by_luck.append(true[kept.all[0].env_step])

        def play(arrays, episodes):
            return generator.normal(true[int(arrays[0][0])], 80.0, len(episodes))

        entrants = [one for one in kept.all if one.env_step < 19]
        entrants.append(Finalist(19, -math.inf, weights(19)))
        compared.append(true[choose(entrants, play, 100).env_step])
    assert np.mean(compared) > np.mean(by_luck) + 4.0
