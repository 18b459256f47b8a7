"""dqn_tf/HomeText-v0: what commands do, the optimum, and the ceiling of a bag of words."""

import collections
import itertools
import json

import numpy as np
import pytest

from dqn_tf.envs.applications import home_text, quests
from dqn_tf.envs.applications.home_text import HomeText
from dqn_tf.envs.applications.vocabulary import split_text
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.exact import END
from dqn_tf.support.errors import UserError


def distance(room: int, other: int) -> int:
    return abs(room // 2 - other // 2) + abs(room % 2 - other % 2)


def test_the_yardsticks():
    """By hand: each step on the shortest way costs 0.01; a bag of words is right in half."""
    rooms = range(4)
    best = np.mean([1 - 0.01 * distance(room, asked) for room in rooms for asked in rooms])
    assert HomeText().optimal_return() == pytest.approx(best)
    bag = np.mean(
        [
            0.5 - 0.01 * min(distance(room, need) for need in pair)
            for room in rooms
            for pair in itertools.combinations(rooms, 2)
        ]
    )
    assert HomeText().bag_of_words_return() == pytest.approx(bag)
    model = quests.bag_model()
    assert exact.success(model, exact.best_policy(model)) == pytest.approx(0.5)
    model = quests.quest_model()
    assert exact.success(model, exact.best_policy(model)) == pytest.approx(1.0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_bag_of_words_is_that_of_the_opposite_quest(language):
    for split in ("train", "validation", "test"):
        sentences = HomeText(language, split).sentences
        for quest in sentences["quests"]:
            for denied, asked in itertools.permutations(sentences["needs"], 2):
                for first, second in itertools.product(denied, asked):
                    bags = [
                        collections.Counter(
                            split_text(quest.replace("{no}", no).replace("{yes}", yes), language)
                        )
                        for no, yes in ((first, second), (second, first))
                    ]
                    assert bags[0] == bags[1]


def test_environment_and_tables_go_the_same_way():
    env, model = HomeText(), quests.quest_model()
    best, generator = exact.best_policy(model), np.random.default_rng(0)
    for seed in range(100):
        env.reset(seed=seed)
        state = quests.QUESTS.index(env.quest) * 4 + env.room
        while state != END:
            action = int(best[state].argmax())
            assert env.best_action() == action
            if generator.random() < 0.9:
                action = int(generator.integers(40))
            _, reward, terminated, truncated, _ = env.step(action)
            assert reward == model.reward[state, action]
            assert (terminated and reward == 1.0) == model.succeeds[state, action]
            state = model.successor[state, action]
            assert (state == END) == (terminated or truncated)


def total(env, seed: int, choose) -> float:
    env.reset(seed=seed)
    paid, is_over = 0.0, False
    while not is_over:
        _, reward, terminated, truncated, _ = env.step(choose())
        paid, is_over = paid + reward, terminated or truncated
    return paid


def test_the_best_players_return_what_the_tables_say():
    env = HomeText("zh", "test")
    returns = [total(env, seed, env.best_action) for seed in range(1_000)]
    deviation = np.std(returns) / len(returns) ** 0.5
    assert np.mean(returns) == pytest.approx(env.optimal_return(), abs=3.5 * deviation)
    model = quests.bag_model()
    best, pairs = exact.best_policy(model), list(itertools.combinations(range(4), 2))

    def by_bag() -> int:
        pair = pairs.index(tuple(sorted(env.quest)))
        return int(best[(env._steps * 6 + pair) * 4 + env.room].argmax())

    returns = [total(env, seed, by_bag) for seed in range(4_000)]
    deviation = np.std(returns) / len(returns) ** 0.5
    assert np.mean(returns) == pytest.approx(env.bag_of_words_return(), abs=3.5 * deviation)


def test_the_commands_have_names():
    names = HomeText().get_action_meanings()
    assert (names[0], names[3 * 8 + 6], len(names)) == ("go north", "eat the soup", 40)
    assert HomeText("zh").get_action_meanings()[3 * 8 + 6] == "吃汤"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"verbs": ["go"]}, "verbs has 1 entries, and must have 5"),
        ({"quests": ["a {no}", "b", "c", "d"]}, "the quest 'a {no}' must have {no} and {yes} once"),
    ],
)
def test_bad_files_are_told_in_a_sentence(change, sentence, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(home_text.read(None, "en") | change))
    with pytest.raises(UserError, match=rf"mine\.json: {sentence}"):
        HomeText(wordings=str(path))
