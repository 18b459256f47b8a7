"""Exact returns in the applications, as tables in Markdown."""

from __future__ import annotations

from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.text.markdown import table


def tables() -> str:
    """Return the yardsticks of all applications as tables in Markdown."""
    return "\n\n".join([_helpdesk_table()])


def _helpdesk_table() -> str:
    beliefs = Helpdesk().beliefs
    rows = {
        "optimum": beliefs.optimum(),
        "best without asking": beliefs.optimum_without_asking(),
        "at random": beliefs.at_random(),
    }
    return table("Helpdesk", ["return"], [[name, f"{row:.4f}"] for name, row in rows.items()])
