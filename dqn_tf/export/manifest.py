"""What an export says about itself, in assets.extra/dqn_tf.json and by its signature `metadata`."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import dqn_tf
from dqn_tf.agent.dqn import DQN, weights_sha256
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.logged import sources


def describe_run(
    config: DQNConfig,
    weights_name: str,
    env_steps: int,
    score: dict[str, Any] | None,
    observations: np.ndarray,
    spaces: Spaces,
    names: dict[str, Any],
) -> dict[str, Any]:
    """Return what a run knows about the agent that it exports.

    `weights_name` is "last" or "best". `score` is the final test's summary, None if there was no
    test. `observations` [n, *shape] are those of the replay. `names` are the environment's, of its
    actions and tokens, and its tokenizer.
    """
    run: dict[str, Any] = {
        "env": config.env,
        "weights": weights_name,
        "env_steps": env_steps,
        "score": score and score | {"protocol": scoring_protocol(config)},
    }
    ranges = observation_range(observations, spaces)
    if ranges:
        run["observation_range"] = ranges
    return run | names


def make_manifest(about: dict[str, Any], agent: DQN, formats: list[str]) -> dict[str, Any]:
    """Return `about`, completed with what the agent and this process know."""
    return about | {
        "formats": formats,
        "weights_sha256": weights_sha256(agent.online.get_weights()),
        "spaces": agent.spaces.to_dict(),
        "config": published_config(agent.settings),
        "dqn_tf": dqn_tf.__version__,
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
    }


def published_config(config: DQNConfig) -> dict[str, Any]:
    """Return the configuration, with names in place of the paths of data and first weights."""
    return config.to_dict() | {
        "data": [sources.without_directories(value) for value in config.data],
        "initial_weights": Path(config.initial_weights).name,
        "initial_replay": Path(config.initial_replay).name,
    }


def scoring_protocol(config: DQNConfig) -> dict[str, Any]:
    """Return how the final test is played, as far as it decides what a score means."""
    protocol: dict[str, Any] = {
        "policy": "epsilon-greedy" if config.test_epsilon else "greedy",
        "epsilon": config.test_epsilon,
        "episode_seeds": f"of the test, derived from seed {config.seed}",
        "most_env_steps": config.evaluation_episode_steps,
    }
    return protocol | ({"game": config.protocol} if config.protocol else {})


def observation_range(observations: np.ndarray, spaces: Spaces) -> dict[str, Any] | None:
    """Return the smallest and largest value of each component of vectors or numbers.

    None for images, and if there are no observations.
    """
    if len(spaces.observation_shape) > 1 or not len(observations):
        return None
    return {
        "observations": len(observations),
        "min": observations.min(axis=0).tolist(),
        "max": observations.max(axis=0).tolist(),
    }
