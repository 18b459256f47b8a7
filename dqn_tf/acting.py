"""Q-values of a few observations, as cheaply as can be.

A call into TensorFlow costs more than a small network's arithmetic, so an mlp is mirrored in NumPy and the
mirror refreshed after each block of updates; a convolutional network goes through one compiled function.
"""

import numpy as np
import tensorflow as tf

from dqn_tf.agent import DQN


class NumpyActor:
    """An mlp's forward pass in NumPy, equal to the Keras one up to rounding."""

    def __init__(self, agent: DQN) -> None:
        self._agent, self._spaces = agent, agent.spaces
        self._one_hot, self._scales = np.eye(agent.spaces.categories, dtype=np.float32), agent.online.scales
        self.refresh()

    def refresh(self) -> None:
        """Copies the agent's weights as they are now."""
        arrays = [variable.numpy() for variable in self._agent.online.variables]
        *self._hidden, self._head = zip(arrays[::2], arrays[1::2], strict=True)

    def q_values(self, observation: np.ndarray) -> np.ndarray:
        """[N, *shape] → [N, A] float32."""
        if self._spaces.categories:
            features = self._one_hot[observation - self._spaces.category_start]
        else:
            features = observation.reshape(len(observation), -1).astype(np.float32, copy=False)
        if self._scales:
            features = features / np.float32(255.0)
        for kernel, bias in self._hidden:
            features = np.maximum(features @ kernel + bias, 0.0)
        kernel, bias = self._head
        return features @ kernel + bias


class GraphActor:
    """One compiled function; it reads the agent's variables, so nothing needs refreshing."""

    def __init__(self, agent: DQN) -> None:
        spaces = agent.spaces
        self._call = tf.function(agent.call).get_concrete_function(
            tf.TensorSpec((None, *spaces.observation_shape), spaces.observation_dtype))

    def refresh(self) -> None:
        """Nothing to do."""

    def q_values(self, observation: np.ndarray) -> np.ndarray:
        """[N, *shape] → [N, A] float32."""
        return self._call(tf.constant(observation)).numpy()


def make_actor(agent: DQN) -> NumpyActor | GraphActor:
    """The cheaper of the two for this agent's network."""
    return GraphActor(agent) if agent.online.convolves else NumpyActor(agent)
