"""What an export says of itself, in assets.extra/dqn_tf.json and by its signature `metadata`."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import dqn_tf
from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.episodes import MAX_EPISODE_STEPS

MANIFEST = Path("assets.extra") / "dqn_tf.json"


def complete(about: dict[str, Any], agent: DQN, formats: list[str]) -> dict[str, Any]:
    """What the caller knows of the run, and what the agent and this process know."""
    return about | {
        "formats": formats,
        "weights_sha256": weights_sha256(agent.online.get_weights()),
        "spaces": agent.spaces.to_dict(),
        "config": agent.settings.to_dict(),
        "dqn_tf": dqn_tf.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def about(
    config: DQNConfig,
    weights: str,
    env_steps: int,
    score: dict[str, Any] | None,
    observed: np.ndarray,
    spaces: Spaces,
    action_meanings: list[str] | None,
) -> dict[str, Any]:
    """What a run knows of the agent that it exports.

    `score` is the final test's summary, None where there was no test; `observed` [n, *shape] what
    the replay held. The environment's names of its actions are there if it has any.
    """
    known = {
        "env": config.env,
        "weights": weights,
        "env_steps": env_steps,
        "score": score and score | {"protocol": protocol(config)},
    }
    ranges = observation_range(observed, spaces)
    return (
        known
        | ({"observation_range": ranges} if ranges else {})
        | ({"action_meanings": action_meanings} if action_meanings else {})
    )


def protocol(config: DQNConfig) -> dict[str, Any]:
    """How the final test is played, as far as it decides what a score means."""
    return {
        "policy": "greedy",
        "episode_seeds": f"of the test, derived from seed {config.seed}",
        "most_env_steps": MAX_EPISODE_STEPS,
    } | ({"game": config.protocol} if config.protocol else {})


def observation_range(observed: np.ndarray, spaces: Spaces) -> dict[str, Any] | None:
    """Smallest and largest value of each component, of vectors and numbers; None for images, and if
    nothing was observed.
    """
    if len(spaces.observation_shape) > 1 or not len(observed):
        return None
    return {
        "observations": len(observed),
        "min": observed.min(axis=0).tolist(),
        "max": observed.max(axis=0).tolist(),
    }
