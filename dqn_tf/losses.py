"""TD targets and losses as pure functions of tensors. No variables; every shape is asserted.

Batch dimension B, actions A. Shapes are static: a [B] that meets a [B, 1] is an error here, never a broadcast.
"""

from collections.abc import Callable

import tensorflow as tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def select(q_values: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Q-values of the actions taken: [B, A] float32, [B] int → [B] float32, by one-hot product.

    The gradient of each row reaches the selected action's output and no other.
    """
    q_values.shape.assert_has_rank(2)
    action.shape.assert_has_rank(1)
    action.shape.assert_is_compatible_with(q_values.shape[:1])
    return tf.reduce_sum(q_values * tf.one_hot(action, q_values.shape[1], dtype=q_values.dtype), axis=1)


def td_target(reward: tf.Tensor, discount: tf.Tensor, next_q_values: tf.Tensor) -> tf.Tensor:
    """r + discount · max_a Q_target(s', a), without gradient (Mnih et al. 2015, algorithm 1).

    reward [B], discount [B] (gamma, or 0 where the episode terminated), next_q_values [B, A] of the target network;
    returns [B] float32.
    """
    reward.shape.assert_has_rank(1)
    discount.shape.assert_is_compatible_with(reward.shape)
    next_q_values.shape.assert_has_rank(2)
    next_q_values.shape[:1].assert_is_compatible_with(reward.shape)
    return tf.stop_gradient(reward + discount * tf.reduce_max(next_q_values, axis=1))


def per_example(loss: str | tf.keras.losses.Loss, huber_delta: float) -> Loss:
    """The loss of a name ("huber" or "mse") or of a Keras loss, as a function [B, 1], [B, 1] → [B]."""
    if loss == "huber":
        loss = tf.keras.losses.Huber(delta=huber_delta)
    elif loss == "mse":
        loss = tf.keras.losses.MeanSquaredError()
    if not isinstance(loss, tf.keras.losses.Loss):
        raise ValueError(f"loss={loss!r}: must be 'huber', 'mse' or a tf.keras.losses.Loss")
    return loss.call  # without the reduction of __call__; a copy with another reduction would lose Huber's delta in Keras 3


def td_loss(loss: Loss, target: tf.Tensor, q_selected: tf.Tensor) -> tf.Tensor:
    """Loss of each transition: target [B], q_selected [B] → [B] float32."""
    target.shape.assert_has_rank(1)
    q_selected.shape.assert_has_rank(1)
    target.shape.assert_is_compatible_with(q_selected.shape)
    return loss(target[:, tf.newaxis], q_selected[:, tf.newaxis])
