"""The Q-network: features of an observation, a torso, and a head with one Q-value per action."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces

SMALLEST_IMAGE = 36  # below this the Nature torso's three convolutions have nothing left to see


class QNetwork(tf.keras.Model):
    """`observation [B, *shape] → q_values [B, A] float32`, everything from raw observation on inside the graph.

    Args:
      spaces: the environment's spaces.
      network: "mlp" (observations flattened), "nature_cnn" (Mnih et al. 2015, table 1), or "auto".
      hidden_units: widths of the mlp's hidden layers.
      generator: source of the layers' initial weights.
    """

    def __init__(self, spaces: Spaces, network: str, hidden_units: tuple[int, ...], generator: np.random.Generator) -> None:
        super().__init__(name="q_network")
        self.spaces = spaces
        seeds = (int(seed) for seed in iter(lambda: generator.integers(2**31), None))
        self.convolves = network == "nature_cnn" or (network == "auto" and is_image(spaces.observation_shape))
        self.scales = spaces.observation_dtype == "uint8" and is_image(spaces.observation_shape)
        shape = spaces.observation_shape if self.convolves else (spaces.categories or int(np.prod(spaces.observation_shape)),)
        self.torso = nature_cnn(shape, seeds) if self.convolves else mlp(shape[0], hidden_units, seeds)
        self.head = _dense(self.torso[-1].units if self.torso else shape[0], spaces.actions, seeds, name="q_values")
        self(tf.zeros((1, *spaces.observation_shape), spaces.observation_dtype))

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Q-values [B, A] float32 of observations in the environment's own dtype."""
        features = self.features(observation)
        for layer in self.torso:
            features = layer(features)
        return self.head(features)

    def features(self, observation: tf.Tensor) -> tf.Tensor:
        """What the torso sees, float32: one-hot for a Discrete space, images scaled to [0, 1], all else as it is."""
        if self.spaces.categories:
            return tf.one_hot(observation - self.spaces.category_start, self.spaces.categories)
        observation = tf.cast(observation, tf.float32)
        if self.scales:
            observation = observation / 255.0
        if self.convolves:
            return observation
        return tf.reshape(observation, (-1, int(np.prod(self.spaces.observation_shape))))


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether observations are images [height, width, channels] that the Nature torso can take."""
    return len(shape) == 3 and min(shape[:2]) >= SMALLEST_IMAGE


def mlp(inputs: int, hidden_units: tuple[int, ...], seeds: Iterator[int]) -> list[tf.keras.layers.Layer]:
    """Dense ReLU layers."""
    widths = zip((inputs, *hidden_units), hidden_units)
    return [_dense(fan_in, units, seeds, activation="relu", name=f"hidden_{number}") for number, (fan_in, units) in enumerate(widths)]


def nature_cnn(shape: tuple[int, ...], seeds: Iterator[int]) -> list[tf.keras.layers.Layer]:
    """The convolutional torso of Mnih et al. 2015 (methods, "Model architecture"), channels last."""
    (height, width, channels), layers = shape, []
    for number, (filters, size, stride) in enumerate([(32, 8, 4), (64, 4, 2), (64, 3, 1)]):
        layers.append(tf.keras.layers.Conv2D(filters, size, stride, activation="relu", name=f"conv_{number}",
                                             **_initializers(size * size * channels, seeds)))
        height, width, channels = (height - size) // stride + 1, (width - size) // stride + 1, filters
    return [*layers, tf.keras.layers.Flatten(), _dense(height * width * channels, 512, seeds, activation="relu", name="hidden_0")]


def _dense(fan_in: int, units: int, seeds: Iterator[int], **options) -> tf.keras.layers.Dense:
    return tf.keras.layers.Dense(units, **_initializers(fan_in, seeds), **options)


def _initializers(fan_in: int, seeds: Iterator[int]) -> dict[str, tf.keras.initializers.Initializer]:
    """Kernel and bias uniform in ±1/sqrt(fan_in) (LeCun et al. 1998), as in the original DQN.

    Biases must not start at zero: without them a fresh ReLU network is homogeneous in its input, extrapolates every
    value it learns along rays, and on CartPole the bootstrapped values then diverge.
    """
    limit = 1.0 / np.sqrt(fan_in)
    return {name: tf.keras.initializers.RandomUniform(-limit, limit, seed=next(seeds)) for name in ("kernel_initializer", "bias_initializer")}
