"""Tasks of texts in which an action has consequences, each with its exact optimum."""

import gymnasium as gym

from dqn_tf.envs.applications import helpdesk

ENTRY_POINTS = {
    helpdesk.ENV_ID: f"{helpdesk.__name__}:Helpdesk",
}


def register() -> None:
    """Make `gymnasium.make("dqn_tf/Helpdesk-v0")` and the others work."""
    for env_id, entry_point in ENTRY_POINTS.items():
        gym.register(env_id, entry_point)
