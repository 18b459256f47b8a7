"""What is known exactly beside the runs: optimum, rules, myopic, random. Computed, not sampled.

They are of one who knows what each sentence means, so they hold on the wordings of every split.
"""

from collections.abc import Iterator
from typing import NamedTuple

from dqn_tf.envs.applications import helpdesk, home_text, news_alert, quests, readers, title_rec
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.applications.regime_beliefs import (
    belief_rules,
    best_stopping,
    count_rule,
    never,
    rule_return,
)
from dqn_tf.envs.applications.yardsticks import PRIOR, RULE_TEXTS, THRESHOLD
from dqn_tf.envs.text import exact


class Yardstick(NamedTuple):
    """A policy's mean return, and where quests are met, the share of them."""

    title: str
    mean: float
    success: float | None = None


def yardsticks() -> dict[str, list[Yardstick]]:
    """Return the yardsticks by the id of the environment."""
    return {
        helpdesk.ENV_ID: list(_of_helpdesk()),
        news_alert.ENV_ID: list(_of_news()),
        title_rec.ENV_ID: list(_of_titles()),
        home_text.ENV_ID: list(_of_home()),
    }


def _of_helpdesk() -> Iterator[Yardstick]:
    beliefs = Helpdesk().beliefs
    yield Yardstick("optimum", beliefs.optimum())
    yield Yardstick("myopic: the best answer, never a question", beliefs.optimum_without_asking())
    yield Yardstick("at random", beliefs.at_random())


def _of_news() -> Iterator[Yardstick]:
    rule = belief_rules(RULE_TEXTS, THRESHOLD, PRIOR)
    yield Yardstick("optimum", best_stopping(0.0).optimum)
    yield Yardstick(f"belief of the last {RULE_TEXTS} texts above {THRESHOLD}", rule_return(rule))
    yield Yardstick("4 of the last 6 negative", rule_return(count_rule(4, 6)))
    yield Yardstick("myopic: the first negative text", rule_return(count_rule(1, 1)))
    yield Yardstick("never", never())


def _of_titles() -> Iterator[Yardstick]:
    yield Yardstick("optimum", readers.mean_over_readers("optimum"))
    yield Yardstick("myopic: the most likely click", readers.mean_over_readers("greedy"))
    yield Yardstick("at random", readers.mean_over_readers("at_random"))


def _of_home() -> Iterator[Yardstick]:
    whole, bag = quests.quest_model(), quests.bag_model()
    policies = {
        "optimum": (whole, exact.best_policy(whole)),
        "ceiling of any policy on bags of words": (bag, exact.best_policy(bag)),
        "commands at random": (whole, exact.uniform(whole)),
    }
    for title, policy in policies.items():
        yield Yardstick(title, exact.mean_return(*policy), exact.success(*policy))
