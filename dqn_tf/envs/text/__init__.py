"""Environments in which tokens are read and written, each with its exact optimum."""

import gymnasium as gym

from dqn_tf.envs.text import graph_walk, maze, rewrite

ENTRY_POINTS = {
    graph_walk.ENV_ID: f"{graph_walk.__name__}:GraphWalk",
    maze.ENV_ID: f"{maze.__name__}:TextMaze",
    rewrite.ENV_ID: f"{rewrite.__name__}:Rewrite",
}


def register() -> None:
    """Make `gymnasium.make("dqn_tf/GraphWalk-v0")` and the others work."""
    for env_id, entry_point in ENTRY_POINTS.items():
        gym.register(env_id, entry_point)
