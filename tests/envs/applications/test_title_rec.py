"""dqn_tf/TitleRec-v0: how readers tire and leave, and the exact returns against played visits."""

import json

import numpy as np
import pytest

from dqn_tf.envs.applications import readers, title_rec
from dqn_tf.envs.applications.readers import READERS, STATES, state_number
from dqn_tf.envs.applications.title_rec import TitleRec
from dqn_tf.support.errors import UserError


def choose_best(env) -> int:
    return env.best_action()


def choose_greedy(env) -> int:
    genre = readers.click_chances(env.levels, env.stages).argmax()
    return int(np.flatnonzero(env.order == genre)[0])


def choose_favourite(env) -> int:
    return int(np.flatnonzero(env.order == int(np.argmax(env.levels)))[0])


def choose_any(env) -> int:
    return int(env.np_random.integers(5))


PLAYERS = {
    "optimum": (choose_best, 2.9365),
    "greedy": (choose_greedy, 2.1759),
    "at_random": (choose_any, 2.1512),
    "favourite": (choose_favourite, 1.1014),
}


@pytest.mark.parametrize("name", PLAYERS)
def test_visits_return_what_the_table_says(name):
    choose, expected = PLAYERS[name]
    assert readers.mean_over_readers(name) == pytest.approx(expected, abs=1e-4)
    env = TitleRec("zh", order="shuffled") if name == "greedy" else TitleRec()
    returns = []
    for seed in range(1_500):
        env.reset(seed=seed)
        returns.append(0.0)
        is_over = False
        while not is_over:
            _, reward, terminated, truncated, _ = env.step(choose(env))
            returns[-1] += reward
            is_over = terminated or truncated
    margin = 3.5 * np.std(returns) / len(returns) ** 0.5
    assert np.mean(returns) == pytest.approx(expected, abs=margin)


def test_the_optimum_of_two_titles_is_that_of_all_plans(monkeypatch):
    """By hand: the first title, then after it the best one in each state that may follow."""
    levels = (4, 3, 1, 0, 2)
    monkeypatch.setattr(readers, "TITLES", 2)
    click = np.array([0.8, 0.65, 0.35, 0.2, 0.5])
    leave = 0.02 + 0.0875 * np.array(levels)
    best = max(
        click[first] + (1 - leave[first]) * max(click * np.where(np.arange(5) == first, 0.5, 1.0))
        for first in range(5)
    )
    assert readers.values.__wrapped__(levels).optimum == pytest.approx(best)


def test_states_follow_each_other_as_in_the_tables():
    assert readers.transitions().sum(axis=2) == pytest.approx(np.ones((5, 243)))
    assert [state_number(stages) for stages in STATES] == list(range(243))
    env = TitleRec()
    counts, expected = np.zeros((2, 243))
    for seed in range(2_000):
        env.reset(seed=seed)
        env.stages = np.array([0, 1, 2, 1, 2])
        state = state_number(env.stages)
        env.step(1)
        counts[state_number(env.stages)] += 1
    expected = readers.transitions()[1, state] * 2_000
    assert (counts[expected == 0] == 0).all()
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected.max())


def test_a_visit():
    env = TitleRec()
    _, info = env.reset(seed=0, options={"reader": 7})
    assert env.levels == READERS[7]
    for genre, (title, name) in enumerate(zip(info["choices"], env.genres, strict=True)):
        assert title in env.sentences["titles"][genre]
        assert name in info["text"]
    *_, info = env.step(0)
    moods = [text.replace("{genre}", env.genres[0]) for text in env.sentences["moods"][0]]
    assert any(info["text"].endswith(mood) for mood in moods)
    assert env.get_action_meanings() == ["crime", "space", "cooking", "history", "sport"]


def test_shuffled_titles_stand_in_the_text():
    env = TitleRec(order="shuffled")
    _, info = env.reset(seed=1)
    titles = " ".join(f"{place + 1} {title}" for place, title in enumerate(info["choices"]))
    assert info["text"].endswith(titles)
    for genre, title in zip(env.order, info["choices"], strict=True):
        assert title in env.sentences["titles"][genre]
    assert env.get_action_meanings() == ["1", "2", "3", "4", "5"]


def test_mistakes_are_told_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match="order='best' is none of genre, shuffled"):
        TitleRec(order="best")
    with pytest.raises(UserError, match="reader='60' is none of 0, 1"):
        TitleRec().reset(options={"reader": 60})
    path = tmp_path / "mine.json"
    for change, sentence in (
        ({"genres": ["a"]}, "genres has 1 entries, and must have 5"),
        ({"moods": [list("abcd"), list("efgh")]}, "the sentence 'a' must have {genre} once"),
    ):
        path.write_text(json.dumps(title_rec.read(None, "en") | change))
        with pytest.raises(UserError, match=sentence):
            TitleRec(wordings=str(path))
