"""What a network's outputs mean: the expected return of an action, or the distribution of it.

Three meanings with one interface. B is the batch, A the actions, N the atoms.

    q_values  from the outputs, [B, A] or [B, A, N], their means [B, A]
    target    the Bellman target of the next action's outputs, without gradient: [B] or [B, N]
    loss      of each transition [B], and the error [B] that prioritised replay goes by
"""

import numpy as np
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.networks.numpy_forward import Reading
from dqn_tf.config.dqn_config import DQNConfig


class Scalar:
    """The expected return (Mnih et al. 2015)."""

    atoms = 1
    reading = Reading()

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the outputs [B, A] as they are."""
        return outputs

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Return r + discount · Q(s', a*), all [B]."""
        return losses.td_target(reward, discount, next_selected)

    def loss(
        self, target: tf.Tensor, selected: tf.Tensor, td_loss: losses.Loss
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the compiled loss and |TD error|, both [B]."""
        return losses.td_loss(td_loss, target, selected), tf.abs(target - selected)


class Categorical:
    """Probabilities of returns on evenly spaced atoms, C51 (Bellemare et al. 2017).

    It has a loss of its own.
    """

    def __init__(self, v_min: float, v_max: float, atoms: int) -> None:
        self.atoms = atoms
        self.support = np.linspace(v_min, v_max, atoms, dtype=np.float32)
        self.reading = Reading(atoms, tuple(self.support.tolist()))

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the means: logits [B, A, N] → [B, A]."""
        return tf.reduce_sum(tf.nn.softmax(outputs) * self.support, axis=2)

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Shift and project: logits [B, N] of the next action → probabilities [B, N]."""
        return losses.project(
            reward, discount, tf.nn.softmax(next_selected), tf.constant(self.support)
        )

    def loss(
        self, target: tf.Tensor, selected: tf.Tensor, td_loss: losses.Loss
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the cross-entropy [B]; prioritised replay goes by it too (Hessel et al. 2018)."""
        cross_entropy = -tf.reduce_sum(target * tf.nn.log_softmax(selected), axis=1)
        return cross_entropy, cross_entropy


class Quantile:
    """Equally likely returns, QR-DQN (Dabney et al. 2018). It has a loss of its own."""

    def __init__(self, atoms: int, huber_delta: float) -> None:
        self.atoms = atoms
        self.reading = Reading(atoms)
        self._huber_delta = huber_delta

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the means: quantiles [B, A, N] → [B, A]."""
        return tf.reduce_mean(outputs, axis=2)

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Return r + discount · each quantile of the next action, [B, N]."""
        return tf.stop_gradient(reward[:, tf.newaxis] + discount[:, tf.newaxis] * next_selected)

    def loss(
        self, target: tf.Tensor, selected: tf.Tensor, td_loss: losses.Loss
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the quantile Huber loss and the error of the means, both [B]."""
        error = tf.abs(tf.reduce_mean(target, axis=1) - tf.reduce_mean(selected, axis=1))
        return losses.quantile_huber(target, selected, self._huber_delta), error


Values = Scalar | Categorical | Quantile


def make_values(config: DQNConfig) -> Values:
    """Return what the configured network's outputs mean."""
    if config.distribution == "c51":
        return Categorical(config.v_min, config.v_max, config.atoms)
    if config.distribution == "quantile":
        return Quantile(config.atoms, config.huber_delta)
    return Scalar()
