"""The Q-network: features of an observation, a torso, and a head of one stream or, dueling, of two."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.layers import (
    NoisyDense,
    StackedDense,
    TrainingDense,
    fan_in_uniform,
    narrow_matmul,
    wide_matmul,
)
from dqn_tf.agent.values import make_values
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

SMALLEST_IMAGE = 36  # below this the Nature torso's three convolutions have nothing left to see
CNNS = {  # convolutions of (filters, size, stride), widths of the hidden layers after them
    "nature_cnn": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), (512,)),
    "nips_cnn": (((16, 8, 4), (32, 4, 2)), (256,)),
    "minatar_cnn": (((16, 3, 1),), (128,)),
}
SMALLEST_PICTURE = CNNS["minatar_cnn"][0][0][1]  # what MinAtar's one convolution needs
# weights beyond which copying all of them costs more than entering TensorFlow for each variable
LARGE = 500_000
NARROW = 4  # outputs up to which a sum of outer products beats a matmul

Layer = tf.keras.layers.Layer


class QNetwork(tf.keras.Model):
    """`observation [B, *shape] → q_values [B, A] float32`, everything from raw observation on
    inside the graph.

    The torso is an mlp ("mlp", observations flattened), the convolutions of Mnih et al. 2015, table
    1 ("nature_cnn"), the fewer ones of Mnih et al. 2013, section 4.1 ("nips_cnn": a third of the
    arithmetic), or the one of Young and Tian 2019, section 4 ("minatar_cnn"). The head is one
    stream of outputs or, with `dueling`, the streams of value and advantages, each with its own
    last hidden layer (Wang et al. 2016). With `noisy` all dense layers are `NoisyDense`. The
    generator gives the initial weights.

    With `num_agents=K`, K independent mlps are stacked: the first B / K observations are the first
    one's. Every variable then has an axis of length K in front.
    """

    def __init__(
        self, spaces: Spaces, config: DQNConfig, generator: np.random.Generator, num_agents: int = 1
    ) -> None:
        super().__init__(name="q_network")
        self.spaces, self.values, self.num_agents = spaces, make_values(config), num_agents
        kind = automatic(spaces) if config.network == "auto" else config.network
        self.convolves = kind != "mlp"
        self.scales = spaces.observation_dtype == "uint8" and is_image(spaces.observation_shape)
        seeds = (int(seed) for seed in iter(lambda: generator.integers(2**31), None))
        self._dense = _dense_maker(
            seeds, config.noisy_sigma if config.noisy else None, num_agents, self.convolves
        )
        layout, hidden = CNNS.get(kind, ((), config.hidden_units))
        shared, own = (hidden[:-1], hidden[-1:]) if config.dueling else (hidden, ())
        if self.convolves:
            convolutions, width = make_convolutions(layout, spaces.observation_shape, seeds)
        else:
            convolutions, width = [], spaces.categories or int(np.prod(spaces.observation_shape))
        dense, width = self._chain(width, shared, "hidden")
        self.torso = convolutions + dense
        outputs = spaces.actions * self.values.atoms
        if config.dueling:
            self.streams = [
                self._stream(width, own, self.values.atoms, "value"),
                self._stream(width, own, outputs, "advantage"),
            ]
        else:
            self.streams = [self._stream(width, own, outputs, "q_values")]
        self(tf.zeros((num_agents, *spaces.observation_shape), spaces.observation_dtype))
        self.large = self.count_params() > LARGE

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Q-values [B, A] float32 of observations in the environment's own dtype, without noise."""
        return self.values.q_values(self.head_outputs(observation))

    def head_outputs(
        self,
        observation: tf.Tensor,
        noise_seed: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """What the values are read from: [B, A], or [B, A, N] for distributions.

        `noise_seed`, int32 [2], draws the noise of noisy layers; without it they are their means.
        `training` forms gradients faster.
        """
        features = self.features(observation)
        if self.num_agents > 1:
            features = tf.reshape(features, (self.num_agents, -1, features.shape[-1]))
        for layer in self.torso:
            features = _apply(layer, features, noise_seed, training)
        streams = []
        for stream in self.streams:
            out = features
            for layer in stream:
                out = _apply(layer, out, noise_seed, training)
            if self.values.atoms > 1:
                out = tf.reshape(out, (-1, out.shape[-1] // self.values.atoms, self.values.atoms))
            elif self.num_agents > 1:
                out = tf.reshape(out, (-1, out.shape[-1]))
            streams.append(out)
        return streams[0] if len(streams) == 1 else combine(*streams)

    def features(self, observation: tf.Tensor) -> tf.Tensor:
        """What the torso sees, float32:

        one-hot for a Discrete space, images scaled to [0, 1], all else as it is.
        """
        if self.spaces.categories:
            return tf.one_hot(observation - self.spaces.category_start, self.spaces.categories)
        observation = tf.cast(observation, tf.float32)
        if self.scales:
            observation = observation / 255.0
        if self.convolves:
            return observation
        return tf.reshape(observation, (-1, int(np.prod(self.spaces.observation_shape))))

    def _chain(self, width: int, units: tuple[int, ...], name: str) -> tuple[list[Layer], int]:
        layers = []
        for number, each in enumerate(units):
            layers.append(self._dense(width, each, activation="relu", name=f"{name}_{number}"))
            width = each
        return layers, width

    def _stream(self, width: int, hidden: tuple[int, ...], outputs: int, name: str) -> list[Layer]:
        layers, width = self._chain(width, hidden, f"{name}_hidden")
        return [*layers, self._dense(width, outputs, activation=None, name=name)]


def combine(value, advantage):
    """V + A - mean of A over the actions (Wang et al.

    2016, equation 9): [B, 1, ...], [B, A, ...] → [B, A, ...], TensorFlow or NumPy.
    """
    actions = advantage.shape[1]
    return (
        value
        + advantage
        - sum(advantage[:, action : action + 1] for action in range(actions)) / actions
    )


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether observations are images [height, width, channels] that the Nature torso can take."""
    return len(shape) == 3 and min(shape[:2]) >= SMALLEST_IMAGE


def automatic(spaces: Spaces) -> str:
    """The torso for these observations:

    a small picture of things that are there or not, [height, width, kinds] bool, is MinAtar's kind.
    """
    if is_image(spaces.observation_shape):
        return "nature_cnn"
    shape = spaces.observation_shape
    return (
        "minatar_cnn"
        if len(shape) == 3
        and min(shape[:2]) >= SMALLEST_PICTURE
        and spaces.observation_dtype == "bool"
        else "mlp"
    )


def make_convolutions(
    layout: tuple[tuple[int, int, int], ...], shape: tuple[int, ...], seeds: Iterator[int]
) -> tuple[list[Layer], int]:
    """Convolutions of (filters, size, stride), channels last, without padding, each with a relu,
    and the width of what they give.
    """
    if len(shape) != 3:
        raise UserError(
            "--network: convolutions need observations of shape [height, width, channels], and"
            f" here it is {list(shape)}. Use --network=mlp."
        )
    (height, width, channels), layers = shape, []
    for number, (filters, size, stride) in enumerate(layout):
        if min(height, width) < size:
            raise UserError(
                f"--network: observations of shape {list(shape)} are too small for these"
                " convolutions. Use --network=auto."
            )
        kernel, bias = (fan_in_uniform(size * size * channels, next(seeds)) for _ in range(2))
        layers.append(
            tf.keras.layers.Conv2D(
                filters,
                size,
                stride,
                activation="relu",
                kernel_initializer=kernel,
                bias_initializer=bias,
                name=f"conv_{number}",
            )
        )
        height, width, channels = (
            (height - size) // stride + 1,
            (width - size) // stride + 1,
            filters,
        )
    return [*layers, tf.keras.layers.Flatten()], height * width * channels


def _dense_maker(seeds: Iterator[int], noisy_sigma: float | None, num_agents: int, convolves: bool):
    def make(fan_in: int, units: int, activation: str | None, name: str) -> Layer:
        kernel, bias = (fan_in_uniform(fan_in, next(seeds)) for _ in range(2))
        narrow = activation is None and units <= NARROW
        multiply = narrow_matmul if narrow else wide_matmul if convolves else tf.matmul
        if num_agents > 1:
            return StackedDense(num_agents, units, activation, kernel, bias, multiply, name)
        if noisy_sigma is None:
            return TrainingDense(
                units,
                multiply,
                activation=activation,
                kernel_initializer=kernel,
                bias_initializer=bias,
                name=name,
            )
        return NoisyDense(
            units, activation, kernel, bias, noisy_sigma, number=next(seeds), name=name
        )

    return make


def _apply(
    layer: Layer,
    features: tf.Tensor,
    noise_seed: tf.Tensor | None,
    training: bool,
) -> tf.Tensor:
    if isinstance(layer, NoisyDense) and noise_seed is not None:
        return layer(features, noise_seed)
    return (
        layer(features, training=training)
        if isinstance(layer, (TrainingDense, StackedDense))
        else layer(features)
    )
