"""Jobs that are placed on machines: the environment, rules of practice and the exact optimum."""

import gymnasium as gym

from dqn_tf.envs.placement import job_placement


def register() -> None:
    """Make `gymnasium.make("dqn_tf/JobPlacement-v0")` work."""
    gym.register(job_placement.ENV_ID, f"{job_placement.__name__}:JobPlacement")
