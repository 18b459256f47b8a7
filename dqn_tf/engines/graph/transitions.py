"""n-step windows inside a compiled program, as `experience.transitions` makes them in NumPy.

This is where the graph engine's terminated becomes `discount`.
"""

from typing import NamedTuple

import tensorflow as tf

from dqn_tf.envs.spaces import Spaces


class Step(NamedTuple):
    """One step of N environments, [N, ...] each; `next_observation` is never a reset's."""

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    terminated: tf.Tensor
    truncated: tf.Tensor
    next_observation: tf.Tensor


class Windows(NamedTuple):
    """The windows under way, [n - 1, N, ...] each, the oldest first.

    Attributes:
      observation, action: of the window's first step.
      reward: float32, the discounted sum over its steps so far.
      discount: float32, gamma to the power of the number of these steps, or 0 at a termination.
      next_observation: the true one after its last step so far.
      open: bool, whether its episode has not ended.
    """

    observation: tf.Tensor
    action: tf.Tensor
    reward: tf.Tensor
    discount: tf.Tensor
    next_observation: tf.Tensor
    open: tf.Tensor


class GraphNStep:
    """Turns steps of N environments into transitions over n of them: the rows of `NStep`.

    A window gives its row n - 1 steps after its first one, also if its episode ended before, so
    that every step gives N rows. The rows of the first n - 1 steps are empty, and not to be used.
    """

    def __init__(self, n_step: int, gamma: float) -> None:
        self._n = n_step
        self._gamma = gamma

    def start(self, num_envs: int, spaces: Spaces) -> Windows:
        """Return the windows before the first step."""
        size = (self._n - 1, num_envs)
        observation = tf.zeros(
            (*size, *spaces.observation_shape), tf.dtypes.as_dtype(spaces.observation_dtype)
        )
        return Windows(
            observation=observation,
            action=tf.zeros(size, tf.int32),
            reward=tf.zeros(size),
            discount=tf.zeros(size),
            next_observation=observation,
            open=tf.zeros(size, tf.bool),
        )

    def add(self, pending: Windows, step: Step) -> tuple[dict[str, tf.Tensor], Windows]:
        """Return the rows [N, ...] of the windows that `step` fills, and the other windows."""
        # Truncation keeps the discount (Pardo et al. 2018, equation 6).
        step_discount = tf.where(step.terminated, 0.0, self._gamma)  # [N]
        ended = step.terminated | step.truncated
        # The windows reach this step unless their episode ended before.
        reaches = pending.open  # [n - 1, N]
        sums = pending.reward + tf.where(reaches, pending.discount * step.reward, 0.0)
        discount = tf.where(reaches, pending.discount * step_discount, pending.discount)
        last = tf.where(
            _as_wide_as(step.next_observation, reaches),
            step.next_observation,
            pending.next_observation,
        )
        extended = Windows(
            observation=pending.observation,
            action=pending.action,
            reward=sums,
            discount=discount,
            next_observation=last,
            open=reaches & ~ended,
        )
        new = Windows(
            observation=step.observation,
            action=step.action,
            reward=step.reward,
            discount=step_discount,
            next_observation=step.next_observation,
            open=~ended,
        )
        windows = tf.nest.map_structure(_append, extended, new)  # [n, N, ...]
        full = tf.nest.map_structure(lambda column: column[0], windows)
        rows = full._asdict()
        del rows["open"]
        return rows, tf.nest.map_structure(lambda column: column[1:], windows)


def _append(columns: tf.Tensor, newest: tf.Tensor) -> tf.Tensor:
    """[n - 1, N, ...] and [N, ...] → [n, N, ...]."""
    return tf.concat([columns, newest[tf.newaxis]], axis=0)


def _as_wide_as(observation: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
    """Give `flags` [n - 1, N] the axes of an observation [N, *shape]: [n - 1, N, 1, ...]."""
    axes = [1] * (len(observation.shape) - 1)
    return tf.reshape(flags, (*flags.shape, *axes))
