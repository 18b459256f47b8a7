"""The model that is served under attack: one fast signature, and some that an attacker likes."""

from pathlib import Path

import tensorflow as tf

NAME = "dqn"
WIDTH = 4  # of an observation


class AttackedModel(tf.Module):
    """An agent, a signature that takes as long as it is told to, and two that give back."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_normal((WIDTH, 2), (0, 1)), name="weights")

    @tf.function(input_signature=[tf.TensorSpec((None, WIDTH), tf.float32, name="observation")])
    def serving_default(self, observation: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return Q-values [B, 2] and the greedy action [B]."""
        q_values = tf.matmul(tf.ensure_shape(observation, (None, WIDTH)), self.weights)
        return {"action": tf.argmax(q_values, axis=1), "q_values": q_values}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="seconds")])
    def slow(self, seconds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Be busy for the largest of `seconds`."""
        end = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
        turns = tf.while_loop(
            lambda turns: tf.timestamp() < end, lambda turns: [turns + 1], [tf.constant(0)]
        )
        return {"done": seconds + 0.0 * tf.cast(turns, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def numbers(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the numbers."""
        return {"y": tf.identity(x)}

    @tf.function(input_signature=[tf.TensorSpec(None, tf.string, name="x")])
    def texts(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the texts."""
        return {"y": tf.identity(x)}


def save(base: Path) -> None:
    """Save the model as version 1 below `base`."""
    model = AttackedModel()
    signatures = {
        name: getattr(model, name) for name in ("serving_default", "slow", "numbers", "texts")
    }
    tf.saved_model.save(model, str(base / "1"), signatures=signatures)
