"""Exploration:

schedules of epsilon, and epsilon-greedy over legal actions, as pure functions of the environment
step.
"""

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig, epsilon_points


def epsilon(config: DQNConfig, env_step: np.ndarray) -> np.ndarray:
    """Probability of a random action at each environment step, by the configured schedule; 0 where
    noisy layers explore.
    """
    if config.noisy:
        return np.zeros_like(env_step, float)
    if config.epsilon_schedule == "linear":
        return linear_epsilon(
            env_step, config.epsilon_start, config.epsilon_end, config.epsilon_decay_env_steps
        )
    if config.epsilon_schedule == "exponential":
        return exponential_epsilon(
            env_step, config.epsilon_start, config.epsilon_end, config.epsilon_decay_env_steps
        )
    return np.interp(env_step, *zip(*epsilon_points(config.epsilon_schedule), strict=True))


def linear_epsilon(
    env_step: np.ndarray, start: float, end: float, decay_env_steps: int
) -> np.ndarray:
    """From `start` linearly to `end` over `decay_env_steps`, then `end`."""
    return start + (end - start) * _progress(env_step, decay_env_steps)


def exponential_epsilon(
    env_step: np.ndarray, start: float, end: float, decay_env_steps: int
) -> np.ndarray:
    """From `start` to `end` over `decay_env_steps`, by the same factor at every step, then `end`."""
    return end * (start / end) ** (1.0 - _progress(env_step, decay_env_steps))


def plan(generator: np.random.Generator, epsilon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decides beforehand where to explore, for epsilons of any shape.

    Returns `explore` bool and `draw` float64 in [0, 1), both of epsilon's shape: where `explore`,
    the behaviour takes `random_action` of the draw, else the greedy action. Drawing all of a
    block's numbers at once costs the same as one.
    """
    return generator.random(epsilon.shape) < epsilon, generator.random(epsilon.shape)


def random_action(draw: np.ndarray, actions: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Uniform actions from uniform draws:

    [N] float64, mask [N, A] bool of legal actions → [N] int64.
    """
    if mask is None:
        return (draw * actions).astype(np.int64)
    place = (draw * mask.sum(axis=1)).astype(np.int64)  # among the legal ones, counted from 0
    return (mask.cumsum(axis=1) > place[:, np.newaxis]).argmax(axis=1)


def greedy_action(q_values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """The legal action of the largest Q-value: [N, A], mask [N, A] bool → [N] int64."""
    return (q_values if mask is None else np.where(mask, q_values, -np.inf)).argmax(axis=1)


def _progress(env_step: np.ndarray, decay_env_steps: int) -> np.ndarray:
    return (
        np.minimum(1.0, env_step / decay_env_steps)
        if decay_env_steps
        else np.ones_like(env_step, float)
    )
