"""Exact returns in the applications, as tables in Markdown."""

from __future__ import annotations

import numpy as np

from dqn_tf.envs.applications import quests, readers
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.applications.regime_beliefs import (
    belief_rules,
    best_stopping,
    count_rule,
    rule_return,
)
from dqn_tf.envs.text import exact
from dqn_tf.envs.text.markdown import percent, table

NOISES = (0.0, 0.1)
# of the rule by belief of the last texts: the best of five priors and four thresholds without noise
RULE_TEXTS = 12
PRIOR, THRESHOLD = 0.4, 0.88


def tables() -> str:
    """Return the yardsticks of all applications as tables in Markdown."""
    return "\n\n".join([_helpdesk_table(), _home_table(), _news_table(), _title_table()])


def _helpdesk_table() -> str:
    beliefs = Helpdesk().beliefs
    rows = {
        "optimum": beliefs.optimum(),
        "best without asking": beliefs.optimum_without_asking(),
        "at random": beliefs.at_random(),
    }
    return table("Helpdesk", ["return"], [[name, f"{row:.4f}"] for name, row in rows.items()])


def _home_table() -> str:
    model, bag = quests.quest_model(), quests.bag_model()
    rows = {
        "optimum": (model, exact.best_policy(model)),
        "ceiling of any policy on bags of words": (bag, exact.best_policy(bag)),
        "commands at random": (model, exact.uniform(model)),
    }
    cells = [
        [name, f"{exact.mean_return(*row):.3f}", percent(exact.success(*row))]
        for name, row in rows.items()
    ]
    return table("HomeText", ["return", "quests met"], cells)


def _news_table() -> str:
    counts = {
        "4 of the last 6 negative": count_rule(4, 6),
        "3 of the last 4 negative": count_rule(3, 4),
        "3 of the last 5 negative": count_rule(3, 5),
        "first negative": count_rule(1, 1),
        "never": np.zeros(2, bool),
    }
    cells = [
        ["optimum", *(f"{best_stopping(noise).optimum:.3f}" for noise in NOISES)],
        [f"belief of the last {RULE_TEXTS} texts above {THRESHOLD}"],
    ]
    for noise in NOISES:
        rules = belief_rules(RULE_TEXTS, THRESHOLD, PRIOR, noise)
        cells[-1].append(f"{rule_return(rules, noise):.3f}")
    for name, rule in counts.items():
        cells.append([name, *(f"{rule_return(rule, noise):.3f}" for noise in NOISES)])
    return table("NewsAlert", ["return", "with a noise of 0.1"], cells)


def _title_table() -> str:
    rows = {
        "optimum": "optimum",
        "most likely click now": "greedy",
        "at random": "at_random",
        "always the favourite genre": "favourite",
    }
    cells = [[name, f"{readers.mean_over_readers(value):.2f}"] for name, value in rows.items()]
    return table("TitleRec", ["return"], cells)
