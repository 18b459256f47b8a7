"""Exploration: schedules and epsilon-greedy, as pure functions of the environment step."""

import numpy as np


def linear_epsilon(env_step: np.ndarray, start: float, end: float, decay_env_steps: int) -> np.ndarray:
    """Epsilon at each environment step: from `start` linearly to `end` over `decay_env_steps`, then `end`."""
    progress = np.minimum(1.0, env_step / decay_env_steps) if decay_env_steps else np.ones_like(env_step, float)
    return start + (end - start) * progress


def plan(generator: np.random.Generator, epsilon: np.ndarray, actions: int) -> tuple[np.ndarray, np.ndarray]:
    """Decides beforehand where to explore and with which action, for epsilons of any shape.

    Returns `explore` bool and `action` int64 of epsilon's shape: the behaviour takes `action` where `explore`, else
    the greedy action. Drawing all of a block's numbers at once costs the same as drawing one.
    """
    explore = generator.random(epsilon.shape) < epsilon
    return explore, generator.integers(actions, size=epsilon.shape)
