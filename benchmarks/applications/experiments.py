"""The experiments: a line for each row of the tables. To add one, add a line.

Settings are those of the preset but for what is named here. They were chosen by runs with the seeds
100 to 102 on training wordings; those that are reported are 1 to 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import helpdesk, home_text, news_alert, title_rec

SEEDS = range(1, 6)
SECONDS = 300  # of CPU, for one run
# what a run learns: Q-values; or from the environment's logged episodes alone, which actions were
# logged, which are right, or what the texts mean
Q_VALUES, LOGGED, RIGHT, MEANING = "q_values", "logged_actions", "right_actions", "meanings"
SPLITS = ("train", "validation", "test")


class Aim(NamedTuple):
    """What the mean over the seeds is to reach on training wordings."""

    measure: str  # "return" or "success"
    least: float


class Experiment(NamedTuple):
    """One row: what is learned with which settings, and what it should reach, None if nothing."""

    name: str
    title: str
    env: str
    settings: dict[str, Any]
    aim: Aim | None = None
    learns: str = Q_VALUES
    seeds: range = SEEDS


UPDATES = 400  # of supervised learning
ONLY_LOGGED = {
    "data": ("env",),
    "total_steps": 0,
    "offline_updates": UPDATES,
    "pretrain_updates": 0,
    "imitation": 0.0,
    "support": 0.0,
    "explore_with": "uniform",
}
# cross-entropy of the logged actions, which the behaviour head learns
CLONING = ONLY_LOGGED | {"pretrain_updates": UPDATES, "offline_updates": 0}
# the mean reward of each action now, and nothing that comes later
ONE_STEP = ONLY_LOGGED | {"gamma": 0.0}
SUPERVISED = {
    "right": ("told the right actions: classifier", ONLY_LOGGED, RIGHT),
    "cloning": ("cloning of the logged actions, greedy", CLONING, LOGGED),
    "one_step": ("reward of the next action alone, predicted, greedy", ONE_STEP, Q_VALUES),
}
MEANINGS = {
    helpdesk.ENV_ID: "told the issues: classifier, and the likeliest one's answer",
    news_alert.ENV_ID: "told what each text means: classifier, and the best rule by belief",
}


def _supervised(env: str, prefix: str) -> Iterator[Experiment]:
    """Yield what needs no reinforcement learning, with the network of the preset."""
    for name, (title, settings, learns) in SUPERVISED.items():
        yield Experiment(f"{prefix}_{name}", title, env, settings, None, learns)
    if env in MEANINGS:
        yield Experiment(f"{prefix}_meaning", MEANINGS[env], env, ONLY_LOGGED, None, MEANING)


EXPERIMENTS = [
    Experiment("helpdesk", "DQN", helpdesk.ENV_ID, {}, Aim("return", 0.87)),
    *_supervised(helpdesk.ENV_ID, "helpdesk"),
    Experiment("news", "DQN", news_alert.ENV_ID, {}, Aim("return", 0.44)),
    *_supervised(news_alert.ENV_ID, "news"),
    Experiment("title", "DQN", title_rec.ENV_ID, {}, Aim("return", 2.7)),
    *_supervised(title_rec.ENV_ID, "title"),
    Experiment("home", "DQN", home_text.ENV_ID, {}, Aim("success", 0.98)),
    Experiment(
        "home_bag",
        "DQN on a bag of words",
        home_text.ENV_ID,
        {"network": "bag_of_words", "hidden_units": (128,)},
        Aim("success", 0.495),
    ),
    *_supervised(home_text.ENV_ID, "home"),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of one run; `overrides` come last. Raises UserError.

    It is scored at its end, and not before.
    """
    values = {"seed": seed, "evaluation_period_env_steps": 0}
    return presets.configure(experiment.env, values | experiment.settings | overrides)
