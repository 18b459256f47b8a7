"""What two processes must have in common to take the same steps to the bit.

Types of CPU differ in the last bits of a multiplication, and versions of an environment in what it
does. A worker answers with its fingerprint, which is compared with this process's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np

import dqn_tf
from dqn_tf.agent.networks.numpy_forward import ForwardPlan, NumpyQFunction
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv, close_quietly
from dqn_tf.experience import exploration

STEPS = 32  # of the episode, at most
WEIGHT = 0.1  # standard deviation of the weights


class Versions(NamedTuple):
    """The versions that decide bits."""

    dqn_tf: str
    numpy: str


class Fingerprint(NamedTuple):
    """What a process makes of fixed weights, seeds and actions."""

    q_values: str  # SHA-256 of the Q-values of the episode's observations
    episode: str  # SHA-256 of the episode


def versions() -> Versions:
    """Return those of this process."""
    return Versions(dqn_tf.__version__, np.__version__)


def take_fingerprint(
    config: DQNConfig, plan: ForwardPlan, make_env: Callable[[], gym.Env]
) -> Fingerprint:
    """Play the beginning of one episode, and compute Q-values of what was observed.

    The environment is closed again. Raises UserError.
    """
    env = make_env()
    try:
        observations, digest = _play(CheckedEnv(env, "The environment"), config.seed or 0)
    finally:
        close_quietly(env)
    weights = np.random.default_rng(0).standard_normal(plan.size, np.float32)
    weights *= np.float32(WEIGHT)
    q_function = NumpyQFunction(plan, weights)
    q_values = hashlib.sha256()
    rows = np.resize(np.arange(len(observations)), (STEPS, config.shard_size))
    for shard in rows:  # as many rows at once as a shard has
        q_values.update(q_function.q_values(observations[shard]).tobytes())
    return Fingerprint(q_values.hexdigest(), digest)


def differing_versions(own: Versions, other: Versions) -> str:
    """Say which versions differ; empty if none do."""
    pairs = zip(("dqn_tf", "NumPy"), own, other, strict=True)
    return " and ".join(
        f"{name} {theirs} where this process has {ours}"
        for name, ours, theirs in pairs
        if ours != theirs
    )


def difference(own: Fingerprint, other: Fingerprint) -> str:
    """Say what another process does otherwise; empty if it is nothing."""
    if own.episode != other.episode:
        return "plays another episode by the same seed and actions"
    if own.q_values != other.q_values:
        return "computes other last bits of the same Q-values, as another type of CPU does"
    return ""


def _play(env: CheckedEnv, seed: int) -> tuple[np.ndarray, str]:
    """Return an episode's observations [t, *shape] and its SHA-256."""
    generator = np.random.default_rng(0)
    observation = env.reset(seeding.episode_seed(seed, seeding.RECORDED, 0))
    observations = [observation]
    digest = hashlib.sha256(np.ascontiguousarray(observation).tobytes())
    for _ in range(STEPS):
        mask = None if env.mask is None else env.mask[np.newaxis]
        action = exploration.random_action(generator.random(1), env.spaces.actions, mask)
        answer = env.step(int(action[0]) + env.spaces.action_start)
        observation, reward, terminated, truncated = answer
        observations.append(observation)
        digest.update(np.ascontiguousarray(observation).tobytes())
        digest.update(np.array([reward, terminated, truncated], np.float64).tobytes())
        if terminated or truncated:
            break
    return np.array(observations), digest.hexdigest()
