"""A torso outside dqn_tf, a GRU over the steps of an observation; a CartPole that shows eight."""

import gymnasium as gym
import tensorflow as tf
from gymnasium.wrappers import FrameStackObservation

from dqn_tf.agent import Torso


class GRUTorso(Torso):
    """Reads an observation [steps, numbers] step by step; the head reads its last state."""

    width = 16

    def __init__(self, spaces, config, seeds):
        super().__init__(spaces, config, seeds)
        self.gru = tf.keras.layers.GRU(
            self.width,
            kernel_initializer=tf.keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=tf.keras.initializers.Orthogonal(seed=next(seeds)),
        )

    @classmethod
    def refusal(cls, spaces):
        shape = list(spaces.observation_shape)
        if len(shape) == 2:
            return ""
        return f"a GRU reads observations of shape [steps, numbers], and here it is {shape}."

    def call(self, features, training=False):
        return self.gru(features, training=training)


def make_stacked_cartpole(**keywords):
    """CartPole whose observation is the last eight, [8, 4] float32."""
    return FrameStackObservation(gym.make("CartPole-v1", **keywords), 8)


gym.register("StackedCartPole-v0", make_stacked_cartpole)
