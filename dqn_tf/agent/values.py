"""What a network's outputs mean: the expected return of an action, or the distribution of it.

Three meanings have one interface. B is the batch, A the actions, N the atoms.

    q_values  the means [B, A] of the outputs, [B, A] or [B, A, N]
    target    the Bellman target of the next action's outputs, without gradient: [B] or [B, N]
    clipped   a target with the returns beyond v_min and v_max moved there, if so configured
    expected  the means [B] of a target
    loss      the loss of each transition [B], and the error [B] that prioritised replay goes by
    reading   `q_values` as plain data, for acting in NumPy
"""

import numpy as np
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.networks.numpy_forward import Reading
from dqn_tf.config.dqn_config import DQNConfig


class _Unbounded:
    """Outputs that can be of any size."""

    def clipped(self, target: tf.Tensor, config: DQNConfig) -> tf.Tensor:
        """Return a target within `v_min` and `v_max` where `clip_targets` says so.

        A target beyond all returns that there can be is an error of the network that made it, and
        to learn it would make the next one larger (Andrychowicz et al. 2017, appendix A).
        """
        if not config.clip_targets:
            return target
        return tf.clip_by_value(target, config.v_min, config.v_max)


class Scalar(_Unbounded):
    """The expected return (Mnih et al. 2015)."""

    atoms = 1
    reading = Reading()

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the outputs [B, A] as they are."""
        return outputs

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Return r + discount · Q(s', a*), all [B]."""
        return losses.td_target(reward, discount, next_selected)

    def expected(self, target: tf.Tensor) -> tf.Tensor:
        """Return the target [B] as it is."""
        return target

    def loss(
        self, target: tf.Tensor, selected: tf.Tensor, td_loss: losses.Loss
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the compiled loss and |TD error|, both [B]."""
        loss = losses.td_loss(td_loss, target, selected)
        return loss, tf.abs(target - selected)


class Categorical:
    """Probabilities of returns on evenly spaced atoms: C51 (Bellemare et al. 2017).

    It has a loss of its own.
    """

    def __init__(self, v_min: float, v_max: float, atoms: int) -> None:
        self.atoms = atoms
        self.support = np.linspace(v_min, v_max, atoms, dtype=np.float32)
        self.reading = Reading(atoms, tuple(self.support.tolist()))

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the means [B, A] of logits [B, A, N]."""
        return tf.reduce_sum(tf.nn.softmax(outputs) * self.support, axis=2)

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Return the probabilities [B, N] of logits [B, N], shifted and projected."""
        support = tf.constant(self.support)
        return losses.project(reward, discount, tf.nn.softmax(next_selected), support)

    def clipped(self, target: tf.Tensor, config: DQNConfig) -> tf.Tensor:
        """Return the target as it is: the atoms end at `v_min` and `v_max`."""
        return target

    def expected(self, target: tf.Tensor) -> tf.Tensor:
        """Return the means [B] of probabilities [B, N]."""
        return tf.linalg.matvec(target, tf.constant(self.support))

    def loss(
        self, target: tf.Tensor, selected: tf.Tensor, td_loss: losses.Loss
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the cross-entropy [B]; prioritised replay uses it, too.

        Hessel et al. 2018 take the KL divergence there, which is less by the target's entropy.
        """
        cross_entropy = -tf.reduce_sum(target * tf.nn.log_softmax(selected), axis=1)
        return cross_entropy, cross_entropy


class Quantile(_Unbounded):
    """Equally likely returns: QR-DQN (Dabney et al. 2018). It has a loss of its own."""

    def __init__(self, atoms: int, huber_delta: float) -> None:
        self.atoms = atoms
        self.reading = Reading(atoms)
        self._huber_delta = huber_delta

    def q_values(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return the means [B, A] of quantiles [B, A, N]."""
        return tf.reduce_mean(outputs, axis=2)

    def target(self, reward: tf.Tensor, discount: tf.Tensor, next_selected: tf.Tensor) -> tf.Tensor:
        """Return r + discount · each quantile of the next action, [B, N]."""
        return tf.stop_gradient(reward[:, tf.newaxis] + discount[:, tf.newaxis] * next_selected)

    def expected(self, target: tf.Tensor) -> tf.Tensor:
        """Return the means [B] of quantiles [B, N]."""
        return tf.reduce_mean(target, axis=1)

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
