"""Convolutions over pictures, and a dense layer after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from dqn_tf.agent.networks import choice
from dqn_tf.agent.networks.choice import DENSE_UNITS, LAYOUTS, Layout
from dqn_tf.agent.networks.layers import DTYPE, DenseLayers, fan_in_uniform, planned
from dqn_tf.agent.networks.numpy_layers import ChannelsLast, Places, PlannedLayer, Reshape
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.agent.networks.torsos.mlp import shared_and_own
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.pictures import CHANNELS_LAST
from dqn_tf.envs.spaces import Spaces


class CNN(Torso):
    """Convolutions without padding, channels last, each with a relu; then dense layers.

    A picture's channels and stacked frames may lie first: `encode` puts them last. Dueling, the
    last dense layer is the streams'. The update is faster without XLA: for MinAtar's network 0.9
    ms in place of 2.1, for nature_cnn 13 in place of 185.
    """

    layout: Layout
    dense_units: tuple[int, ...]
    # TensorFlow 2.21's convolution fails on an empty batch
    pads_empty_batch = True
    takes_noise = True

    def __init__(self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> None:
        super().__init__(spaces, config, seeds)
        shared, self.head_units = shared_and_own(self.dense_units, config.dueling)
        self.picture_shape = spaces.picture_shape or spaces.observation_shape  # [H, W, C]
        # The order in which a batch's axes are a picture's, channels last; empty where they are.
        self.axes: tuple[int, ...] = ()
        if spaces.picture and spaces.picture != "HWC":
            self.axes = CHANNELS_LAST[spaces.picture]
        self.convolutions, flat_width = make_convolutions(self.layout, self.picture_shape, seeds)
        self.flatten = tf.keras.layers.Flatten("channels_last", dtype=DTYPE)
        self.width = shared[-1] if shared else flat_width
        dense = DenseLayers(config, seeds, self.uses_xla)
        self.hidden = dense.hidden(flat_width, shared, "hidden")

    @classmethod
    def refusal(cls, spaces: Spaces) -> str:
        """Say in a sentence why the torso cannot take these spaces; empty if it can."""
        return choice.refusal_of_convolutions(cls.layout, spaces)

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return pictures [B, height, width, channels] float32 of observations [B, *shape]."""
        features = super().encode(observation)
        if not self.axes:
            return features
        return tf.reshape(tf.transpose(features, self.axes), (-1, *self.picture_shape))

    def call(
        self, features: tf.Tensor, training: bool = False, noise_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return [B, width] of images [B, height, width, channels]."""
        for convolution in self.convolutions:
            features = convolution(features)
        features = self.flatten(features)
        for layer in self.hidden:
            features = layer(features, noise_seed=noise_seed, training=training)
        return features

    def plan(self, places: Places) -> tuple[PlannedLayer, ...]:
        """Describe the torso as plain data."""
        turned = (ChannelsLast(self.axes, self.picture_shape),) if self.axes else ()
        return (
            *turned,
            *(planned(layer, places) for layer in self.convolutions),
            Reshape((-1,)),
            *(planned(layer, places) for layer in self.hidden),
        )

    def onnx(self, graph: Any, features: str) -> str:
        """Add the torso to a graph of ONNX, which knows convolutions with channels first only."""
        if self.axes:
            turned = graph.add("Transpose", features, perm=self.axes)
            features = graph.reshape(turned, self.picture_shape)
        features = graph.channels_first(features)
        for layer in self.convolutions:
            features = graph.layer(layer, features)
        features = graph.add("Flatten", graph.channels_last(features))
        for layer in self.hidden:
            features = graph.layer(layer, features)
        return features


class NatureCNN(CNN):
    """The network of Mnih et al. 2015, table 1."""

    layout = LAYOUTS["nature_cnn"]
    dense_units = DENSE_UNITS["nature_cnn"]


class NipsCNN(CNN):
    """The network of Mnih et al. 2013, section 4.1: a third of the arithmetic of NatureCNN."""

    layout = LAYOUTS["nips_cnn"]
    dense_units = DENSE_UNITS["nips_cnn"]


class SmallCNN(CNN):
    """A network for pictures of about 42x42, of half the resolution that NipsCNN is made for.

    Its first layer has as many places there as that of NipsCNN on 84x84; a third of the arithmetic.
    """

    layout = LAYOUTS["small_cnn"]
    dense_units = DENSE_UNITS["small_cnn"]


class MinAtarCNN(CNN):
    """The network of Young and Tian 2019, section 4."""

    layout = LAYOUTS["minatar_cnn"]
    dense_units = DENSE_UNITS["minatar_cnn"]


def make_convolutions(
    layout: Layout, shape: Sequence[int], seeds: Iterator[int]
) -> tuple[list[tf.keras.layers.Layer], int]:
    """Return the convolutions over pictures of this shape, and the numbers that they give."""
    height, width, channels = shape
    layers = []
    for number, (filters, size, stride) in enumerate(layout):
        fan_in = size * size * channels
        layers.append(
            tf.keras.layers.Conv2D(
                filters,
                size,
                stride,
                activation="relu",
                kernel_initializer=fan_in_uniform(fan_in, next(seeds)),
                bias_initializer=fan_in_uniform(fan_in, next(seeds)),
                name=f"conv_{number}",
                data_format="channels_last",
                dtype=DTYPE,
            )
        )
        height = (height - size) // stride + 1
        width = (width - size) // stride + 1
        channels = filters
    return layers, height * width * channels
