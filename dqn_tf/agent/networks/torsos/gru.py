"""A recurrent network over tokens, or over the last observations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.layers import DTYPE
from dqn_tf.agent.networks.torsos.sequence import SequenceTorso
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces

UNROLLED = 32  # steps up to which the graph has each of them, which TFLite can convert too


class GRU(SequenceTorso):
    """`layers` gated recurrent units of `width`, one over the other.

    The state is that of the observation alone: it begins anew at its first step. Dueling, each
    stream of the head has a hidden layer of `width`. XLA takes 19 CPU ms for an update of 128
    sequences of 16 tokens and 12 CPU s to compile it, TensorFlow's own kernels 22 ms and 3 s.
    """

    def __init__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> None:
        super().__init__(spaces, config, seeds)
        self.head_units = (config.width,) if config.dueling else ()
        self.recurrences = [
            Recurrence(config.width, seeds, f"gru_{number}", config.keep_bias)
            for number in range(config.layers)
        ]

    def read(self, stream: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return [B, T, width] of the embedded steps [B, T, width]; `training` changes nothing."""
        for recurrence in self.recurrences:
            stream = recurrence(stream)
        return stream

    def refusal_of_tflite(self) -> str:
        """Say why TFLite has no operations for a long sequence; empty for a short one."""
        return refusal_of_loop(self.encoding.observation_shape[0])


def refusal_of_loop(steps: int) -> str:
    """Say why TFLite has no operations for so many steps; empty for few."""
    if steps <= UNROLLED:
        return ""
    return f"a GRU reads more than {UNROLLED} steps in a loop, and here there are {steps}"


class Recurrence(tf.keras.layers.Layer):
    """A gated recurrent unit (Cho et al. 2014), with the reset behind the product, as cuDNN has it.

        z, r = σ(W x + U h)        n = tanh(W x + r ∘ (U h))        h' = z ∘ h + (1 - z) ∘ n

    The bias of z, the share that it keeps, begins at `keep_bias`. Keras's own keeps a random
    generator among its weights, and a loop that TFLite cannot convert.
    """

    def __init__(self, units: int, seeds: Iterator[int], name: str, keep_bias: float) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.units = units
        bias = np.repeat([keep_bias, 0.0, 0.0], units).astype(np.float32)
        self.entering = tf.keras.layers.Dense(
            3 * units,
            kernel_initializer=tf.keras.initializers.GlorotUniform(next(seeds)),
            bias_initializer=tf.keras.initializers.Constant(bias),
            name="entering",
            dtype=DTYPE,
        )
        self.recurrent = tf.keras.layers.Dense(
            3 * units,
            kernel_initializer=tf.keras.initializers.Orthogonal(seed=next(seeds)),
            name="recurrent",
            dtype=DTYPE,
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the weights, outside of the loop that uses them."""
        self.entering.build(tuple(input_shape))
        self.recurrent.build((None, self.units))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the states [B, T, units] after each of the inputs [B, T, N]."""
        entering = self.entering(inputs)  # [B, T, 3 · units]
        state = tf.zeros_like(entering[:, 0, : self.units])
        if inputs.shape[1] > UNROLLED:
            states = tf.scan(self._next, tf.transpose(entering, (1, 0, 2)), state)
            return tf.transpose(states, (1, 0, 2))
        states = []
        for step in tf.unstack(entering, axis=1):
            state = self._next(state, step)
            states.append(state)
        return tf.stack(states, axis=1)

    def _next(self, state: tf.Tensor, entering: tf.Tensor) -> tf.Tensor:
        """Return the state [B, units] after one more step."""
        update_in, reset_in, new_in = tf.split(entering, 3, axis=1)
        update_of, reset_of, new_of = tf.split(self.recurrent(state), 3, axis=1)
        update = tf.sigmoid(update_in + update_of)
        new = tf.tanh(new_in + tf.sigmoid(reset_in + reset_of) * new_of)
        return update * state + (1.0 - update) * new
