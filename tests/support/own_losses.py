"""Auxiliary losses and torsos of a user's own; dqn_tf knows nothing of them."""

import tensorflow as tf

from dqn_tf.agent import Torso
from dqn_tf.agent.networks.torsos.mlp import MLP


def squared_q_values(batch, forward, q_values):
    """[B]: the mean square of all actions' Q-values."""
    return tf.reduce_mean(tf.square(q_values), axis=1)


def squared_features(batch, forward, q_values):
    """[B]: the mean square of what the torso returns."""
    return tf.reduce_mean(tf.square(forward.features), axis=-1)


def misspelt(batch, forward, q_values):
    """Asks for a column that there is not."""
    return q_values[:, 0] - batch["actions"]


def one_number(batch, forward, q_values):
    return tf.reduce_mean(q_values)


def loss(batch, forward, q_values):
    return q_values[:, 0]


error = epsilon = loss


class DecayedTorso(Torso):
    """A dense layer whose kernel Keras regularises; its second layer is not used."""

    width = 6

    def __init__(self, spaces, config, seeds):
        super().__init__(spaces, config, seeds)
        self.dense = tf.keras.layers.Dense(
            6,
            kernel_initializer=tf.keras.initializers.GlorotUniform(next(seeds)),
            kernel_regularizer=tf.keras.regularizers.L2(0.25),
        )
        self.unused = tf.keras.layers.Dense(2)
        self.unused.build((None, 6))

    def call(self, features, training=False):
        return self.dense(features)


class RegularizedMLP(MLP):
    """The built-in mlp, whose features are pulled towards zero by Keras's `add_loss`."""

    def call(self, features, **options):
        outputs = super().call(features, **options)
        self.add_loss(0.5 * tf.reduce_sum(tf.square(outputs)))
        return outputs


def halvings(batch, forward, q_values):
    """[B]: how often the largest reward must be halved to be below 0.1, by a `while` over it."""
    left = tf.reduce_max(tf.abs(batch["reward"]))
    count = 0.0
    while left >= 0.1:
        left /= 2.0
        count += 1.0
    return count * tf.ones_like(batch["reward"])


class BranchingMLP(MLP):
    """The built-in mlp, of twice the observations where their sum is positive: a tensor's `if`."""

    def encode(self, observation):
        if tf.reduce_sum(observation) > 0.0:
            observation = 2.0 * observation
        return observation


class BranchingLoss(tf.keras.losses.Loss):
    """The absolute error, or 7 where the sum of the targets is positive."""

    def call(self, y_true, y_pred):
        if tf.reduce_sum(y_true) > 0.0:
            return 7.0 + 0.0 * y_pred[:, 0]
        return tf.abs(y_true - y_pred)[:, 0]
