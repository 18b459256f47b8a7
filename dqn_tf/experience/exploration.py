"""Schedules of epsilon, and epsilon-greedy over legal actions, as pure functions."""

import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import epsilon_points


def epsilon(config: DQNConfig, env_step: np.ndarray) -> np.ndarray:
    """Return the probability of a random action at each environment step.

    It follows the configured schedule, and is 0 where noisy layers explore.
    """
    if config.noisy:
        return np.zeros_like(env_step, float)
    start = config.epsilon_start
    end = config.epsilon_end
    decay_env_steps = config.epsilon_decay_env_steps
    if config.epsilon_schedule == "linear":
        return linear_epsilon(env_step, start, end, decay_env_steps)
    if config.epsilon_schedule == "exponential":
        return exponential_epsilon(env_step, start, end, decay_env_steps)
    steps, epsilons = zip(*epsilon_points(config.epsilon_schedule), strict=True)
    return np.interp(env_step, steps, epsilons)


def linear_epsilon(
    env_step: np.ndarray, start: float, end: float, decay_env_steps: int
) -> np.ndarray:
    """Fall from `start` linearly to `end` over `decay_env_steps`, then stay there."""
    return start + (end - start) * _progress(env_step, decay_env_steps)


def exponential_epsilon(
    env_step: np.ndarray, start: float, end: float, decay_env_steps: int
) -> np.ndarray:
    """Fall from `start` to `end` over `decay_env_steps`, by the same factor at every step."""
    return end * (start / end) ** (1.0 - _progress(env_step, decay_env_steps))


def draw_exploration(
    generator: np.random.Generator, epsilon: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw beforehand where to explore, for epsilons of any shape.

    Returns `explore` bool and `draw` float64 in [0, 1), both of epsilon's shape. Where `explore`,
    the behaviour takes `random_action` of the draw, otherwise the greedy action. Drawing all of a
    block's numbers at once costs the same as drawing one.
    """
    explore = generator.random(epsilon.shape) < epsilon
    draw = generator.random(epsilon.shape)
    return explore, draw


def random_action(draw: np.ndarray, actions: int, mask: np.ndarray | None = None) -> np.ndarray:
    """Turn uniform draws [N] float64 into uniform actions [N] int64.

    `mask` [N, A] bool says which actions are legal.
    """
    if mask is None:
        return (draw * actions).astype(np.int64)
    place = (draw * mask.sum(axis=1)).astype(np.int64)  # among the legal ones, counted from 0
    return (mask.cumsum(axis=1) > place[:, np.newaxis]).argmax(axis=1)


def greedy_action(q_values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Return the legal action of the largest Q-value: [N, A], mask [N, A] bool → [N] int64."""
    if mask is not None:
        q_values = np.where(mask, q_values, -np.inf)
    return q_values.argmax(axis=1)


def drawn_action(
    logits: np.ndarray, draw: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """Turn uniform draws [N] float64 into actions [N] int64 of the policy softmax(logits) [N, A].

    `mask` [N, A] bool says which actions are legal: the others are never drawn.
    """
    legal = logits.astype(np.float64) if mask is None else np.where(mask, logits, -np.inf)
    weight = np.exp(legal - legal.max(axis=1, keepdims=True))
    total = weight.cumsum(axis=1)
    place = draw * total[:, -1]  # below the last one, as draws are below 1
    return (total > place[:, np.newaxis]).argmax(axis=1)


def preferences(q_values: np.ndarray, behaviour: np.ndarray | None, q_weight: float) -> np.ndarray:
    """Return the scores of which acting takes the largest, [N, A]: `QNetwork.greedy_action`'s."""
    if not q_weight or behaviour is None:
        return q_values
    scores: np.ndarray = behaviour + np.float32(q_weight) * q_values
    return scores


def supported_actions(
    behaviour: np.ndarray, tau: float, mask: np.ndarray | None = None
) -> np.ndarray:
    """Return the legal actions at least `tau` times as probable as the likeliest legal one.

    behaviour [N, A] are logits of the policy that made the data, mask [N, A] bool; the result is
    [N, A] bool (discrete BCQ, Fujimoto et al. 2019). It is `agent.losses.supported` in NumPy.
    """
    legal = behaviour if mask is None else np.where(mask, behaviour, -np.inf)
    supported: np.ndarray = legal >= legal.max(axis=1, keepdims=True) + np.float32(np.log(tau))
    return supported if mask is None else supported & mask


def _progress(env_step: np.ndarray, decay_env_steps: int) -> np.ndarray:
    """Return the share of the decay that is over, from 0 to 1."""
    if not decay_env_steps:
        return np.ones_like(env_step, float)
    return np.minimum(1.0, env_step / decay_env_steps)
