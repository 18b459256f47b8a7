"""Q-values of a few observations, as cheaply as can be.

A call into TensorFlow costs more than the arithmetic of a small network, or of a large one on a
single observation. So the network is mirrored in NumPy, and the mirror refreshed when the weights
have changed; only several images at once go through a compiled function.
"""

import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.q_network import combine

Chain = list[list[np.ndarray]]
# an array: of a Python number NumPy would make one at each call, which takes as long as the maximum
ZERO = np.zeros((), np.float32)


class NumpyActor:
    """The network's forward pass in NumPy, equal to the Keras one up to rounding.

    From the first one on, NumPy's BLAS has one thread.
    """

    def __init__(self, agent: DQN) -> None:
        # With two, a product of 1 by 1024 by 1024 waits 8 ms for the core on which TensorFlow's
        # threads run, and takes 0.05 ms with one.
        threadpool_limits(1, user_api="blas")
        self._network, self._spaces, self._values = agent.online, agent.spaces, agent.online.values
        self._one_hot = np.eye(agent.spaces.categories, dtype=np.float32)
        # as the first layer takes them
        self._ready = (
            agent.spaces.observation_dtype == "float32" and len(agent.spaces.observation_shape) == 1
        )
        self._variables, places, end = agent.online.variables, {}, 0
        for variable in self._variables:  # where each lies among all of them, one after the other
            start, end = end, end + int(np.prod(variable.shape))
            places[id(variable)] = slice(start, end), int(variable.shape[-1])
        self._chains = [
            [
                [places[id(variable)] for variable in layer.variables]
                for layer in chain
                if layer.variables
            ]
            for chain in (agent.online.torso, *agent.online.streams)
        ]
        self._windows = [
            (layer.kernel_size[0], layer.strides[0])
            for layer in agent.online.torso
            if isinstance(layer, tf.keras.layers.Conv2D)
        ]
        self.refresh()

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Takes over the network's weights, one after the other in `weights` [P]; without them, as
        they are now.
        """
        if weights is None:
            weights = np.concatenate([variable.numpy().reshape(-1) for variable in self._variables])
        # Biases as rows: NumPy adds arrays of two dimensions to each other three times as fast as
        # it broadcasts one along the other.
        torso, *self._streams = (
            [[weights[place].reshape(-1, width) for place, width in layer] for layer in chain]
            for chain in self._chains
        )
        self._convolutions, self._torso = torso[: len(self._windows)], torso[len(self._windows) :]

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """[N, *shape] → [N, A] float32; with a generator, noisy layers draw each row's noise from
        it.
        """
        features = observation if self._ready else self._features(observation)
        for layer in self._torso:
            features = _rectified(_dense(features, layer, generator))
        streams = [self._stream(features, stream, generator) for stream in self._streams]
        return self._values.numpy_q_values(streams[0] if len(streams) == 1 else combine(*streams))

    def _features(self, observation: np.ndarray) -> np.ndarray:
        if self._spaces.categories:
            return self._one_hot[observation - self._spaces.category_start]
        features = observation.astype(np.float32, order="C", copy=False)
        if self._network.scales:
            features = features / np.float32(255.0)
        for (size, stride), layer in zip(self._windows, self._convolutions, strict=True):
            patches = _patches(features, size, stride)
            features = _rectified(_dense(patches.reshape(-1, len(layer[0])), layer, None)).reshape(
                *patches.shape[:3], -1
            )
        return features.reshape(len(features), -1)

    def _stream(
        self, features: np.ndarray, stream: Chain, generator: np.random.Generator | None
    ) -> np.ndarray:
        *hidden, last = stream
        for layer in hidden:
            features = _rectified(_dense(features, layer, generator))
        outputs, atoms = _dense(features, last, generator), self._values.atoms
        return outputs if atoms == 1 else outputs.reshape(len(outputs), -1, atoms)


class GraphActor:
    """One compiled function; it reads the agent's variables, so nothing needs refreshing."""

    def __init__(self, agent: DQN) -> None:
        observation = tf.TensorSpec(
            (None, *agent.spaces.observation_shape), agent.spaces.observation_dtype
        )
        self._call = tf.function(agent.call).get_concrete_function(observation)
        noisy = tf.function(
            lambda observation, seed: agent.online.values.q_values(
                agent.online.head_outputs(observation, seed)
            )
        )
        self._call_noisy = (
            noisy.get_concrete_function(observation, tf.TensorSpec((2,), tf.int32))
            if agent.settings.noisy
            else None
        )

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Nothing to do."""

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """[N, *shape] → [N, A] float32; with a generator, noisy layers draw one noise for all rows
        from it.
        """
        if generator is None or self._call_noisy is None:
            return self._call(tf.constant(observation)).numpy()
        return self._call_noisy(
            tf.constant(observation), tf.constant(generator.integers(2**31, size=2), tf.int32)
        ).numpy()


def make_actor(agent: DQN) -> NumpyActor | GraphActor:
    """The cheaper of the two for this agent's network and number of environments."""
    several_images = agent.online.convolves and agent.online.large and agent.settings.num_envs > 1
    return GraphActor(agent) if several_images else NumpyActor(agent)


def _patches(images: np.ndarray, size: int, stride: int) -> np.ndarray:
    """What each place of a convolution sees: [N, H, W, C] → [N, H', W', size, size · C], a copy."""
    count, height, width, channels = images.shape
    by_image, by_row, by_column, by_channel = images.strides
    shape = (
        count,
        (height - size) // stride + 1,
        (width - size) // stride + 1,
        size,
        size * channels,
    )
    return np.lib.stride_tricks.as_strided(
        images, shape, (by_image, stride * by_row, stride * by_column, by_row, by_channel)
    ).copy()


def _rectified(features: np.ndarray) -> np.ndarray:
    return np.maximum(features, ZERO, out=features)


def _dense(
    features: np.ndarray, layer: list[np.ndarray], generator: np.random.Generator | None
) -> np.ndarray:
    outputs = features.dot(layer[0])
    outputs += layer[1]
    if generator is not None and len(layer) > 2:
        kernel, _, kernel_sigma, bias_sigma = layer
        noise = generator.standard_normal((len(features), sum(kernel.shape)), np.float32)
        noise = np.sign(noise) * np.sqrt(np.abs(noise))
        outputs += ((features * noise[:, : len(kernel)]) @ kernel_sigma + bias_sigma) * noise[
            :, len(kernel) :
        ]
    return outputs
