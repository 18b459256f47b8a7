"""Tasks of texts in which an action has consequences, each with its exact optimum."""

import gymnasium as gym

from dqn_tf.envs.applications import helpdesk, home_text, news_alert, title_rec

ENTRY_POINTS = {
    helpdesk.ENV_ID: f"{helpdesk.__name__}:Helpdesk",
    home_text.ENV_ID: f"{home_text.__name__}:HomeText",
    news_alert.ENV_ID: f"{news_alert.__name__}:NewsAlert",
    title_rec.ENV_ID: f"{title_rec.__name__}:TitleRec",
}


def register() -> None:
    """Make `gymnasium.make("dqn_tf/Helpdesk-v0")` and the others work."""
    for env_id, entry_point in ENTRY_POINTS.items():
        gym.register(env_id, entry_point)
