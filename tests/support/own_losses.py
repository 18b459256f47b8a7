"""Auxiliary losses and a torso of a user's own; dqn_tf knows nothing of them."""

import tensorflow as tf

from dqn_tf.agent.networks.torsos.mlp import MLP


def squared_q_values(batch, forward, q_values):
    """[B]: the mean square of all actions' Q-values."""
    return tf.reduce_mean(tf.square(q_values), axis=1)


def squared_features(batch, forward, q_values):
    """[B]: the mean square of what the torso returns."""
    return tf.reduce_mean(tf.square(forward.features), axis=-1)


def one_number(batch, forward, q_values):
    return tf.reduce_mean(q_values)


def loss(batch, forward, q_values):
    return q_values[:, 0]


class RegularizedMLP(MLP):
    """The built-in mlp, whose features are pulled towards zero by Keras's `add_loss`."""

    def call(self, features, **options):
        outputs = super().call(features, **options)
        self.add_loss(0.5 * tf.reduce_sum(tf.square(outputs)))
        return outputs
