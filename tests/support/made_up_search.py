"""Searches whose scores are made up, so that what a study does with them can be counted by hand."""

from collections.abc import Callable

import numpy as np
import optuna

from dqn_tf.search import flags, plan, storage, study, trials
from dqn_tf.support.errors import UserError

# two settings, one engine that trains seed after seed
WORDS = (
    "--env=CartPole-v1",
    "--engine=host",
    "--range=learning_rate=1e-5:1e-2:log",
    "--range=n_step=1:10",
)

storage.load_optuna()  # which is quiet from now on


class Broke(UserError):
    """Learning broke."""


def make_plan(*words: str, only: bool = True) -> plan.SearchPlan:
    """Plans a search of WORDS and `words`; with `only`, of the settings with ranges there alone."""
    parsed = flags.parse(["search", *WORDS, *words])
    made = plan.prepare(parsed)
    if not only:
        return made
    dimensions = tuple(one for one in made.space.dimensions if one.name in parsed.own)
    space = plan.Space(made.base, made.space.network, dimensions)
    return made._replace(space=space)


def open_study(made: plan.SearchPlan, storage: object = None) -> optuna.Study:
    """Opens the study of a plan; in memory without a storage."""
    return study.open_study(made, storage or optuna.storages.InMemoryStorage())


def smooth(config, seeds, check) -> list[float]:
    """Scores that are best near a learning rate of 1e-3 and 3 steps, with noise of the seed."""
    check()
    best = -abs(np.log10(config.learning_rate) + 3) - 0.1 * abs(config.n_step - 3)
    return [100 * best + seed % 7 for seed in seeds]


def work(
    made: plan.SearchPlan,
    opened: optuna.Study,
    score: Callable = smooth,
    check: Callable = lambda: None,
    is_worn: Callable = lambda: False,
) -> list[str]:
    """Does the trials of a study; returns what was said."""
    said: list[str] = []
    training = trials.Training(score, Broke, check, said.append, is_worn)
    trials.Worker(made, opened, training).work()
    return said
