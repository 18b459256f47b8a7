"""benchmarks.applications.scoring against exact returns, by players who read the sentences."""

import numpy as np
import pytest

from benchmarks.applications import scoring
from dqn_tf.envs.applications import quests, readers, regime_beliefs
from dqn_tf.envs.applications.helpdesk import ASKED, REPLIED, Helpdesk
from dqn_tf.envs.applications.home_text import HomeText
from dqn_tf.envs.applications.issue_beliefs import TURNS
from dqn_tf.envs.applications.news_alert import ALERT, SIGN, NewsAlert
from dqn_tf.envs.applications.title_rec import TitleRec
from dqn_tf.envs.text import exact


@pytest.fixture(autouse=True)
def fewer_episodes(monkeypatch):
    monkeypatch.setattr(scoring, "STREAMS", 300)
    monkeypatch.setattr(scoring, "VISITS", 5)


def parts(env, row, *signs):
    """The tokens of an observation between signs, each a tuple."""
    numbers = [env.number[sign] for sign in signs]
    found = [[]]
    for token in row[row != env.padding].tolist():
        if token in numbers:
            found.append([])
        else:
            found[-1].append(token)
    return [tuple(part) for part in found]


def key(env, text):
    return tuple(env.encode(text))


def helpdesk_player(env, can_ask=True):
    """Knows which issues each complaint and each reply leaves."""
    everything = frozenset(range(8))
    means = {key(env, text): everything for text in env.sentences["vague"]}
    for issue in everything:
        for name in ("clear", "reply"):
            means |= {key(env, text): {issue} for text in env.sentences[name][issue]}
        pair = {2 * (issue // 2), 2 * (issue // 2) + 1}
        means |= {key(env, text): pair for text in env.sentences["ambiguous"][issue // 2]}
    questions = [key(env, text) for text in env.sentences["questions"]]

    def act(row):
        complaint, *turns = parts(env, row, ASKED, REPLIED)
        possible = set(means[complaint])
        for question, reply in zip(turns[::2], turns[1::2], strict=True):
            pair = questions.index(question)
            possible &= means.get(reply, everything - {2 * pair, 2 * pair + 1})
        left = TURNS - len(turns) // 2
        q_values = env.beliefs.q_values(frozenset(possible), left, can_ask)
        return int(np.argmax(q_values))

    return lambda observations: np.array([act(row) for row in observations])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_helpdesk_is_exact(split):
    env = Helpdesk(split=split)
    assert scoring.score(helpdesk_player(env), env).mean == pytest.approx(env.optimal_return())
    without = scoring.score(helpdesk_player(env, can_ask=False), env).mean
    assert without == pytest.approx(env.beliefs.optimum_without_asking())
    asks = scoring.score(lambda observations: np.full(len(observations), 8), env).mean
    assert asks == pytest.approx(-0.1 * TURNS)


def test_home_text_is_exact():
    env = HomeText(split="validation")
    best = exact.best_policy(quests.quest_model())
    rooms = {key(env, text): room for room in range(4) for text in env.sentences["rooms"][room]}
    tasks = {
        key(env, text): number
        for number, quest in enumerate(quests.QUESTS)
        for text in scoring._quest_texts(env, quest)
    }
    assert len(tasks) == len(quests.QUESTS) * len(env.sentences["quests"])

    def act(row):
        tokens = tuple(row[row != env.padding].tolist())
        for length in range(len(tokens)):
            if tokens[:length] in rooms and tokens[length:] in tasks:
                state = tasks[tokens[length:]] * 4 + rooms[tokens[:length]]
                return int(best[state].argmax())
        raise AssertionError(tokens)

    found = scoring.score(lambda rows: np.array([act(row) for row in rows]), env)
    assert found.mean == pytest.approx(env.optimal_return()) and found.success == pytest.approx(1)
    junk = scoring.score(lambda rows: np.full(len(rows), 31), env)
    assert junk == pytest.approx((-0.11 * quests.LIMIT, 0.0))


def test_news_alert_is_that_of_the_rules():
    """The best player earns the optimum, whatever the streams; a rule what it earns, nearly."""
    env = NewsAlert()
    negative = {key(env, text) for text in env.sentences["negative"]}
    threshold = regime_beliefs.best_stopping(0.0).threshold

    def reads(row):
        return [text in negative for text in parts(env, row, SIGN)]

    def best(row):
        belief, said = np.zeros(()), reads(row)
        for is_negative in said:
            belief, _ = regime_beliefs.updated(belief, is_negative, 0.0)
        return int(belief >= threshold[len(said) - 1])

    found = scoring.score(lambda rows: np.array([best(row) for row in rows]), env)
    assert found.mean == pytest.approx(env.optimal_return())
    rule = scoring.score(lambda rows: np.array([sum(reads(row)[-6:]) >= 4 for row in rows]), env)
    expected = regime_beliefs.rule_return(regime_beliefs.count_rule(4, 6))
    assert rule.mean == pytest.approx(expected, abs=0.03)
    always = scoring.score(lambda rows: np.full(len(rows), ALERT), env)
    assert always.mean == pytest.approx(2 * regime_beliefs.HAZARD - 1, abs=0.05)


def test_title_rec_is_that_of_its_tables():
    env = TitleRec()
    generator = np.random.default_rng(0)
    found = scoring.score(lambda rows: generator.integers(5, size=len(rows)), env)
    assert found.mean == pytest.approx(readers.mean_over_readers("at_random"), abs=0.06)
