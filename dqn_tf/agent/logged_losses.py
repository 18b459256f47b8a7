"""Losses on logged rows, so that Q-values are not fooled by what was never tried.

Each is a pure function of tensors that returns one number for each transition, [B], to be made
small. Batch dimension B, actions A; `mask` [B, A] bool says which actions are legal, None that all
are.
"""

import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.support.errors import UserError


def conservative(
    q_values: tf.Tensor, action: tf.Tensor, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Return log Σ_a exp Q(s, a) - Q(s, a_data), over the legal actions: [B, A], [B] → [B].

    It is the regulariser of conservative Q-learning, CQL(H) (Kumar et al. 2020, equation 4), for
    discrete actions. Of distributions it takes the means.
    """
    legal = q_values if mask is None else tf.where(mask, q_values, q_values.dtype.min)
    return tf.reduce_logsumexp(legal, axis=1) - losses.select(q_values, action)


def cross_entropy(
    behaviour: tf.Tensor | None, action: tf.Tensor, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Return -log π(a_data|s): logits [B, A], [B] → [B]. π is a softmax over the legal actions.

    It is the loss of behaviour cloning, and of the model of the behaviour in discrete BCQ (Fujimoto
    et al. 2019). Raises UserError where a network has no behaviour head.
    """
    if behaviour is None:
        raise UserError(
            "The network has no behaviour head to imitate with: give its DQNConfig"
            " pretrain_updates, support, q_weight or imitation."
        )
    # -1e9, not -inf: the product with a probability of 0 is to stay finite
    logits = behaviour if mask is None else tf.where(mask, behaviour, -1e9)
    return -losses.select(tf.nn.log_softmax(logits), action)


def margin(
    q_values: tf.Tensor, action: tf.Tensor, size: float, mask: tf.Tensor | None = None
) -> tf.Tensor:
    """Return max_a [Q(s, a) + l(a_data, a)] - Q(s, a_data), over the legal actions: [B, A] → [B].

    l is 0 for the action of the data and `size` for all others (Hester et al. 2018, DQfD,
    equation 2). It is 0 where the data's action is ahead by `size`.
    """
    others = size * (1.0 - tf.one_hot(action, q_values.shape[1], dtype=q_values.dtype))
    raised = q_values + others
    legal = raised if mask is None else tf.where(mask, raised, raised.dtype.min)
    return tf.reduce_max(legal, axis=1) - losses.select(q_values, action)
