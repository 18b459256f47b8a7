"""What a policy earns in an application on average: exactly, or without most of the chance.

Dialogues of Helpdesk and quests of HomeText are followed through all sentences that may be said. Of
NewsAlert and TitleRec many episodes are played, each of whose rewards is replaced by its mean over
what the texts do not tell: whether the market is in stress, whether the reader clicks and stays.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.config import seeding
from dqn_tf.envs.applications import home_text, quests, readers, regime_beliefs
from dqn_tf.envs.applications.helpdesk import ASKED, REPLIED, Helpdesk
from dqn_tf.envs.applications.home_text import HomeText
from dqn_tf.envs.applications.issue_beliefs import (
    AMBIGUOUS,
    ASKING,
    CLEAR,
    RIGHT,
    TURNS,
    VAGUE,
    WRONG,
    Issues,
)
from dqn_tf.envs.applications.news_alert import ALERT, WAIT, NewsAlert
from dqn_tf.envs.applications.text_env import TextEnv
from dqn_tf.envs.applications.title_rec import TitleRec

Policy = Callable[[np.ndarray], np.ndarray]  # observations [N, T] → actions [N]

STREAMS = 1_000  # of NewsAlert
VISITS = 20  # of each reader of TitleRec
BATCH = 512
SEED = 20_180


class Score(NamedTuple):
    """A policy's mean return, and where quests are met, the share of them."""

    mean: float
    success: float | None = None


def score(policy: Policy, env: TextEnv) -> Score:
    """Return what a policy earns in an application."""
    if isinstance(env, Helpdesk):
        return _score_helpdesk(policy, env)
    if isinstance(env, HomeText):
        return _score_home(policy, env)
    if isinstance(env, NewsAlert):
        return _score_news(policy, env)
    assert isinstance(env, TitleRec)
    return _score_titles(policy, env)


class _Dialogue(NamedTuple):
    """What may have been said so far, and how likely that is."""

    chance: float
    possible: Issues
    text: str


def _score_helpdesk(policy: Policy, env: Helpdesk) -> Score:
    """Follow every dialogue to its end."""
    total = 0.0
    dialogues = list(_complaints(env))
    for turn in range(1, TURNS + 1):
        actions = _act(policy, [_told(env, dialogue.text) for dialogue in dialogues])
        following: list[_Dialogue] = []
        for dialogue, action in zip(dialogues, actions, strict=True):
            pair = int(action) - env.beliefs.issues
            if pair < 0:
                right = float(int(action) in dialogue.possible) / len(dialogue.possible)
                total += dialogue.chance * (right * RIGHT + (1.0 - right) * WRONG)
                continue
            total += dialogue.chance * ASKING
            if turn < TURNS:
                following += _replies(env, dialogue, pair)
        dialogues = following
    return Score(total)


def _complaints(env: Helpdesk) -> Iterator[_Dialogue]:
    issues, pairs = range(env.beliefs.issues), range(env.beliefs.pairs)
    kinds = [
        (CLEAR, [(frozenset([issue]), env.sentences["clear"][issue]) for issue in issues]),
        (
            AMBIGUOUS,
            [(frozenset([2 * p, 2 * p + 1]), env.sentences["ambiguous"][p]) for p in pairs],
        ),
        (VAGUE, [(frozenset(issues), env.sentences["vague"])]),
    ]
    for chance, complaints in kinds:
        for possible, texts in complaints:
            for text in texts:
                yield _Dialogue(chance / len(complaints) / len(texts), possible, text)


def _replies(env: Helpdesk, dialogue: _Dialogue, pair: int) -> Iterator[_Dialogue]:
    asked = f"{dialogue.text} {ASKED} {env.sentences['questions'][pair]} {REPLIED}"
    for chance, known in env.beliefs.after_question(dialogue.possible, pair):
        is_in_pair = known <= {2 * pair, 2 * pair + 1}
        texts = env.sentences["reply"][min(known)] if is_in_pair else env.sentences["neither"]
        for text in texts:
            share = dialogue.chance * chance / len(texts)
            yield _Dialogue(share, known, f"{asked} {text}")


def _score_home(policy: Policy, env: HomeText) -> Score:
    """Follow every quest: in a room, each of its sentences is as likely at each step."""
    rooms = env.sentences["rooms"]
    tasks = [(quest, text) for quest in quests.QUESTS for text in _quest_texts(env, quest)]
    places = [(quest, text, room) for quest, text in tasks for room in range(quests.NEEDS)]
    told = [
        _told(env, env.joined([sentence, text]))
        for _, text, room in places
        for sentence in rooms[room]
    ]
    actions = iter(_act(policy, told))
    outcomes = {
        (text, room): [quests.do(room, quest, int(next(actions))) for _ in rooms[room]]
        for quest, text, room in places
    }
    values = [_quest_value(outcomes, text) for _, text in tasks]
    mean, success = np.mean(values, axis=0)
    return Score(float(mean), float(success))


def _quest_texts(env: HomeText, quest: tuple[int, int]) -> Iterator[str]:
    denied, asked = (env.sentences["needs"][need] for need in quest)
    for template in env.sentences["quests"]:
        for no in denied:
            for yes in asked:
                yield home_text.quest_text(template, no, yes)


def _quest_value(
    outcomes: dict[tuple[str, int], list[tuple[int, float, bool]]], text: str
) -> tuple[float, float]:
    """Return the mean return and the chance of success over the first rooms."""
    values = np.zeros((2, quests.NEEDS))  # after the last command
    for _ in range(quests.LIMIT):
        before = np.zeros_like(values)
        for room in range(quests.NEEDS):
            done = outcomes[text, room]
            for following, reward, ends in done:
                gained = np.array([reward, float(ends and reward == quests.MET)])
                before[:, room] += (gained + (not ends) * values[:, following]) / len(done)
        values = before
    return float(values[0].mean()), float(values[1].mean())


def _score_news(policy: Policy, env: NewsAlert) -> Score:
    """Play streams; whether there is stress is as likely as the texts so far say.

    The best player reads the same streams, which no action changes. What the policy earns beyond
    that player is added to the optimum, so that easy and hard streams make no difference.
    """
    streams = [copy.copy(env) for _ in range(STREAMS)]
    observations = np.stack([_reset(stream, number) for number, stream in enumerate(streams)])
    beyond = np.zeros(STREAMS)  # what is earned beyond the best player
    reads, best_reads = np.ones((2, STREAMS), bool)
    for text in range(regime_beliefs.TEXTS):
        alerts = np.zeros(STREAMS, bool)
        alerts[reads] = _act(policy, list(observations[reads])) == ALERT
        best_alerts = np.array([stream.best_action() == ALERT for stream in streams])
        belief = np.array([stream.belief for stream in streams])
        alert = belief * regime_beliefs.RIGHT + (1.0 - belief) * regime_beliefs.FALSE_ALARM
        wait = belief * regime_beliefs.LATE
        beyond += reads * np.where(alerts, alert, wait)
        beyond -= best_reads * np.where(best_alerts, alert, wait)
        reads &= ~alerts
        best_reads &= ~best_alerts
        if text + 1 < regime_beliefs.TEXTS:
            for number in np.flatnonzero(reads | best_reads):
                observations[number] = streams[number].step(WAIT)[0]
    return Score(env.optimal_return() + float(beyond.mean()))


def _score_titles(policy: Policy, env: TitleRec) -> Score:
    """Play visits to their last title; a click counts as much as it is likely to be seen."""
    total = 0.0
    visits = [copy.copy(env) for _ in range(VISITS * len(readers.READERS))]
    observations = [
        _reset(visit, number, {"reader": number % len(readers.READERS)})
        for number, visit in enumerate(visits)
    ]
    stays = np.ones(len(visits))
    for _ in range(readers.TITLES):
        actions = _act(policy, observations)
        for number, (visit, action) in enumerate(zip(visits, actions, strict=True)):
            genre = visit.order[int(action)]
            total += stays[number] * readers.click_chances(visit.levels, visit.stages)[genre]
            stays[number] *= 1.0 - readers.leaving_chances(visit.levels)[genre]
            observations[number] = visit.step(int(action))[0]
    return Score(total / len(visits))


def _reset(env: Any, number: int, options: dict[str, Any] | None = None) -> np.ndarray:
    seed = seeding.episode_seed(SEED, seeding.TEST, number)
    observation: np.ndarray = env.reset(seed=seed, options=options)[0]
    return observation


def _told(env: TextEnv, text: str) -> np.ndarray:
    env.tell(text)
    return env.observation()


def _act(policy: Policy, observations: list[np.ndarray]) -> np.ndarray:
    """Return the actions of any number of observations [N]; few are as many as a batch."""
    parts = [
        policy(np.stack(observations[start : start + BATCH]))
        for start in range(0, len(observations), BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
