"""TD targets and losses as pure functions of tensors. No variables; every shape is asserted.

Batch dimension B, actions A. Shapes are static: a [B] that meets a [B, 1] is an error here, never a
broadcast.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import tensorflow as tf

from dqn_tf.agent.autograph import read_users_code
from dqn_tf.agent.networks.kernels import sum_of_squares
from dqn_tf.support.errors import UserError

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
KerasLoss: TypeAlias = "str | tf.keras.losses.Loss | Loss"  # what Keras's `compile` takes


def select(outputs: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
    """Return the outputs of the actions taken: [B, A] or [B, A, N], [B] int → [B] or [B, N].

    It is a product with one-hot rows: the gradient of each row reaches the selected action's
    outputs and no other.
    """
    outputs.shape.with_rank_at_least(2)
    action.shape.assert_has_rank(1)
    action.shape.assert_is_compatible_with(outputs.shape[:1])
    one_hot = tf.one_hot(action, outputs.shape[1], dtype=outputs.dtype)  # [B, A]
    if outputs.shape.rank == 3:
        one_hot = one_hot[:, :, tf.newaxis]
    return tf.reduce_sum(outputs * one_hot, axis=1)


def greedy(q_values: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Return the legal action of the largest Q-value: [B, A], mask [B, A] bool → [B] int64.

    Of a row without a legal action it is 0.
    """
    q_values.shape.assert_has_rank(2)
    legal = q_values if mask is None else tf.where(mask, q_values, q_values.dtype.min)
    return tf.argmax(legal, axis=1)


def supported(behaviour: tf.Tensor, tau: float, mask: tf.Tensor | None = None) -> tf.Tensor:
    """Return the legal actions that are at least `tau` times as probable as the likeliest legal.

    They are what discrete BCQ chooses from (Fujimoto et al. 2019, equation 20 of "Benchmarking
    Batch Deep Reinforcement Learning Algorithms"). behaviour [B, A] are logits of the policy that
    made the data, mask [B, A] bool; the result is [B, A] bool, without gradient. Where an action is
    legal, one of them is supported.
    """
    behaviour.shape.assert_has_rank(2)
    legal = behaviour if mask is None else tf.where(mask, behaviour, behaviour.dtype.min)
    # G(a|s) / max G >= tau, in logarithms: exact, and without a softmax
    least = tf.reduce_max(legal, axis=1, keepdims=True) + math.log(tau)
    is_supported = legal >= least
    return is_supported if mask is None else is_supported & mask


def td_target(reward: tf.Tensor, discount: tf.Tensor, next_q: tf.Tensor) -> tf.Tensor:
    """Return r + discount · Q_target(s', a*), without gradient.

    It is the target of Mnih et al. 2015, algorithm 1, and of van Hasselt et al. 2016, equation 4.
    discount is the product of the gammas, or 0 where the episode terminated. next_q is the target
    network's value of the next action. All of them, and the result, are [B] float32.
    """
    for tensor in (reward, discount, next_q):
        tensor.shape.assert_has_rank(1)
        tensor.shape.assert_is_compatible_with(reward.shape)
    return tf.stop_gradient(reward + discount * next_q)


def munchausen_target(
    reward: tf.Tensor,
    discount: tf.Tensor,
    q_values: tf.Tensor,
    action: tf.Tensor,
    next_q_values: tf.Tensor,
    mask: tf.Tensor | None,
    next_mask: tf.Tensor | None,
    alpha: float,
    temperature: float,
    clip: float,
) -> tf.Tensor:
    """Return the Munchausen target [B] float32, without gradient (Vieillard et al. 2020, eq. 5).

        r + α · [τ log π(a|s)] clipped to [clip, 0]
          + discount · Σ_a' π(a'|s') (Q(s', a') - τ log π(a'|s'))

    π = softmax(Q / τ) over the legal actions, all of the target network. reward, discount and
    action are [B], q_values and next_q_values [B, A], masks [B, A] bool or None.
    """
    scaled_log = temperature * select(_log_policy(q_values, mask, temperature), action)  # [B]
    bonus = tf.clip_by_value(scaled_log, clip, 0.0)
    log_policy = _log_policy(next_q_values, next_mask, temperature)  # [B, A]
    terms = tf.exp(log_policy) * (next_q_values - temperature * log_policy)
    return td_target(reward + alpha * bonus, discount, tf.reduce_sum(terms, axis=1))


def _log_policy(q_values: tf.Tensor, mask: tf.Tensor | None, temperature: float) -> tf.Tensor:
    legal = q_values if mask is None else tf.where(mask, q_values, q_values.dtype.min)
    # the best legal action's is 0, however cold
    logits = (q_values - tf.reduce_max(legal, axis=1, keepdims=True)) / temperature
    # -1e9, not -inf: an illegal action's probability is then exactly 0 and its product with
    # anything finite stays finite.
    return tf.nn.log_softmax(logits if mask is None else tf.where(mask, logits, -1e9))


def project(
    reward: tf.Tensor, discount: tf.Tensor, next_probabilities: tf.Tensor, support: tf.Tensor
) -> tf.Tensor:
    """Return the distribution of r + discount · Z' on the atoms of `support`, without gradient.

    It is algorithm 1 of Bellemare et al. 2017. reward and discount are [B], next_probabilities
    [B, N] on `support` [N], which is evenly spaced; the result is [B, N] float32. Mass beyond the
    support lands on its ends. Each shifted atom is shared between its two neighbours in proportion
    to nearness.
    """
    next_probabilities.shape.assert_has_rank(2)
    reward.shape.assert_has_rank(1)
    discount.shape.assert_is_compatible_with(reward.shape)
    next_probabilities.shape[:1].assert_is_compatible_with(reward.shape)
    spacing = support[1] - support[0]
    shifted = reward[:, tf.newaxis] + discount[:, tf.newaxis] * support  # [B, N]
    shifted = tf.clip_by_value(shifted, support[0], support[-1])
    # [B, to, from]
    distance = tf.abs(shifted[:, tf.newaxis, :] - support[tf.newaxis, :, tf.newaxis]) / spacing
    share = tf.maximum(1.0 - distance, 0.0)
    return tf.stop_gradient(tf.linalg.matvec(share, next_probabilities))


def quantile_huber(target: tf.Tensor, quantiles: tf.Tensor, delta: float) -> tf.Tensor:
    """Return the quantile Huber loss of each transition: [B, M] samples, [B, N] quantiles → [B].

    It is summed over the N quantiles at the levels (i + 1/2) / N, and averaged over the M samples
    (Dabney et al. 2018, equation 10). It is divided by `delta`, as Dabney et al. do later in the
    same year for implicit quantiles.
    """
    target.shape.assert_has_rank(2)
    quantiles.shape.assert_has_rank(2)
    quantiles.shape[:1].assert_is_compatible_with(target.shape[:1])
    levels = (tf.range(quantiles.shape[1], dtype=tf.float32) + 0.5) / quantiles.shape[1]
    error = target[:, tf.newaxis, :] - quantiles[:, :, tf.newaxis]  # [B, N, M]
    size = tf.abs(error)
    huber = tf.where(size <= delta, 0.5 * tf.square(error), delta * (size - 0.5 * delta))
    weight = tf.abs(levels[tf.newaxis, :, tf.newaxis] - tf.cast(error < 0.0, tf.float32))
    return tf.reduce_sum(tf.reduce_mean(weight * huber / delta, axis=2), axis=1)


def limit_gradients(
    gradients: Sequence[tf.Tensor], limit: float, num_agents: int = 1, uses_xla: bool = True
) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Scale gradients down to a global norm of `limit`, and return the norm before, [num_agents].

    It is algorithm 1 of Pascanu et al. 2013; 0 leaves the gradients as they are. With K > 1 agents
    each has its own norm, over its share of every gradient, which is [K, ...]. Outside XLA, where
    there is a single agent, gradients are read once, and not touched where the limit does not bind.
    """
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]  # an embedding's is not
    lead = (num_agents,) if num_agents > 1 else ()
    squares = [sum_of_squares(gradient, num_agents, uses_xla) for gradient in gradients]
    norm = tf.reshape(tf.sqrt(tf.add_n(squares)), (num_agents,))
    if not limit:
        return gradients, norm
    scale = limit * tf.minimum(1.0 / norm, 1.0 / limit)

    def scaled() -> list[tf.Tensor]:
        return [
            gradient * tf.reshape(scale, (*lead, *[1] * (gradient.shape.rank - len(lead))))
            for gradient in gradients
        ]

    if uses_xla:
        return scaled(), norm
    return tf.cond(norm[0] > limit, scaled, lambda: gradients), norm


def per_example(loss: KerasLoss, huber_delta: float) -> Loss:
    """Return a loss as a function [B, 1], [B, 1] → [B] or [B, 1].

    It is "huber", "mse", another name that Keras knows, a Keras loss, or such a function. Raises
    UserError for anything else.
    """
    if loss == "huber":
        loss = tf.keras.losses.Huber(delta=huber_delta)
    elif loss == "mse":
        loss = tf.keras.losses.MeanSquaredError()
    elif isinstance(loss, str):
        with contextlib.suppress(ValueError):
            loss = tf.keras.losses.get(loss)
    if isinstance(loss, tf.keras.losses.Loss):
        # without the reduction of __call__; a copy with another reduction would lose Huber's delta
        # in Keras 3
        return read_users_code(loss.call, type(loss))
    if not callable(loss) or isinstance(loss, type):
        raise UserError(
            f"compile(loss={loss!r}): must be 'huber', 'mse', another loss by the name that Keras"
            " has for it, a tf.keras.losses.Loss, or a function of targets and Q-values [B, 1]."
        )
    return read_users_code(loss, loss)


def td_loss(loss: Loss, target: tf.Tensor, q_selected: tf.Tensor) -> tf.Tensor:
    """Return the loss of each transition: target [B], q_selected [B] → [B] float32.

    Raises UserError if the loss is reduced already.
    """
    target.shape.assert_has_rank(1)
    q_selected.shape.assert_has_rank(1)
    target.shape.assert_is_compatible_with(q_selected.shape)
    rows = loss(target[:, tf.newaxis], q_selected[:, tf.newaxis])
    if not rows.shape[:1].is_compatible_with(target.shape[:1]):
        raise UserError(
            f"compile(loss=...): the loss has shape {list(rows.shape)}; it must be one number for"
            " each transition, [B], without a reduction over them."
        )
    return rows[:, 0] if rows.shape.rank == 2 else rows
