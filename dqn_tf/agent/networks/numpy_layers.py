"""The layers of a Q-network in NumPy, described by plain data.

A description says where a layer's weights lie in one flat array. Bound to such an array it is a
function. Nothing here needs TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np

# [N, ...] and a generator of noise, or None → [N, ...]
Forward = Callable[[np.ndarray, np.random.Generator | None], np.ndarray]
# an array: of a Python number NumPy would make one at each call, which takes as long as the maximum
ZERO = np.zeros((), np.float32)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an array lies in the flat weights."""

    start: int
    stop: int
    shape: tuple[int, ...]

    def view(self, weights: np.ndarray) -> np.ndarray:
        """Return the array, as a view of the flat weights [P]."""
        return weights[self.start : self.stop].reshape(self.shape)

    def row(self, weights: np.ndarray) -> np.ndarray:
        """Return the array [units] as a row [1, units].

        NumPy adds arrays of two dimensions to each other three times as fast as it broadcasts one
        along the other.
        """
        return weights[self.start : self.stop].reshape(1, -1)


Places = dict[int, Place]  # of a network's variables, each by its id


class PlannedLayer(Protocol):
    """A layer as plain data.

    A torso of your own may use a class of its own, in a module that does not import TensorFlow.
    """

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function under these flat weights [P]."""
        ...


@dataclasses.dataclass(frozen=True)
class Dense:
    """[N, inputs] → [N, units], with relu or without."""

    kernel: Place  # [inputs, units]
    bias: Place  # [units]
    rectified: bool

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function under these flat weights [P]."""
        return self._bind(weights, self.bias.row(weights))

    def bind_single(self, weights: np.ndarray) -> Forward:
        """Return the layer's function of a single observation's features: [inputs] → [units].

        NumPy adds arrays of one dimension to each other twice as fast as those of two.
        """
        return self._bind(weights, self.bias.view(weights))

    def bind_categories(self, start: int, weights: np.ndarray) -> Forward:
        """Return the function of categories [N] from `start`, equal to that of one-hot rows."""
        return functools.partial(
            _dense_row, self.kernel.view(weights), self.bias.row(weights), start, self.rectified
        )

    def _bind(self, weights: np.ndarray, bias: np.ndarray) -> Forward:
        function = _rectified_dense if self.rectified else _dense
        return functools.partial(function, self.kernel.view(weights), bias)


@dataclasses.dataclass(frozen=True)
class NoisyDense:
    """`Dense` with factorised noise, as `layers.NoisyDense`; each row draws noise of its own."""

    kernel: Place  # [inputs, units]
    bias: Place  # [units]
    kernel_sigma: Place  # [inputs, units]
    bias_sigma: Place  # [units]
    rectified: bool

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function under these flat weights [P]."""
        return functools.partial(
            _noisy_dense,
            self.kernel.view(weights),
            self.bias.row(weights),
            self.kernel_sigma.view(weights),
            self.bias_sigma.row(weights),
            self.rectified,
        )


@dataclasses.dataclass(frozen=True)
class Convolution:
    """[N, H, W, C] → [N, H', W', filters], without padding, with relu."""

    kernel: Place  # [size, size, C, filters]
    bias: Place  # [filters]
    stride: int

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function under these flat weights [P]."""
        kernel = self.kernel.view(weights)
        size, filters = kernel.shape[0], kernel.shape[-1]
        flat_kernel = kernel.reshape(-1, filters)  # [size · size · C, filters]
        return functools.partial(
            _convolution, flat_kernel, self.bias.row(weights), size, self.stride
        )


@dataclasses.dataclass(frozen=True)
class Reshape:
    """[N, ...] → [N, *shape]."""

    shape: tuple[int, ...]

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function; it has no weights."""
        return functools.partial(_reshape, self.shape)


@dataclasses.dataclass(frozen=True)
class ChannelsLast:
    """Pictures whose axes lie otherwise → [N, H, W, C]."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]  # [H, W, C]

    def bind(self, weights: np.ndarray) -> Forward:
        """Return the layer's function; it has no weights."""
        return functools.partial(_channels_last, self.axes, self.shape)


def _dense(
    kernel: np.ndarray,
    bias: np.ndarray,
    features: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    outputs: np.ndarray = features.dot(kernel)
    outputs += bias
    return outputs


def _rectified_dense(
    kernel: np.ndarray,
    bias: np.ndarray,
    features: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    outputs = features.dot(kernel)
    outputs += bias
    return np.maximum(outputs, ZERO, out=outputs)


def _dense_row(
    kernel: np.ndarray,
    bias: np.ndarray,
    start: int,
    rectified: bool,
    category: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    outputs: np.ndarray = kernel[category - start]
    outputs += bias
    return np.maximum(outputs, ZERO, out=outputs) if rectified else outputs


def _noisy_dense(
    kernel: np.ndarray,
    bias: np.ndarray,
    kernel_sigma: np.ndarray,
    bias_sigma: np.ndarray,
    rectified: bool,
    features: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    outputs: np.ndarray = features.dot(kernel)
    outputs += bias
    if generator is not None:
        noise = generator.standard_normal((len(features), sum(kernel.shape)), np.float32)
        noise = np.sign(noise) * np.sqrt(np.abs(noise))
        noise_in = noise[:, : len(kernel)]  # [N, inputs]
        noise_out = noise[:, len(kernel) :]  # [N, units]
        outputs += ((features * noise_in) @ kernel_sigma + bias_sigma) * noise_out
    return np.maximum(outputs, ZERO, out=outputs) if rectified else outputs


def _convolution(
    kernel: np.ndarray,
    bias: np.ndarray,
    size: int,
    stride: int,
    features: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    patches = _patches(features, size, stride)  # [N, H', W', size, size · C]
    outputs = patches.reshape(-1, len(kernel)).dot(kernel)  # [N · H' · W', filters]
    outputs += bias
    return np.maximum(outputs, ZERO, out=outputs).reshape(*patches.shape[:3], -1)


def _patches(images: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Copy what each place of a convolution sees: [N, H, W, C] → [N, H', W', size, size · C].

    The images lie in C order.
    """
    count, height, width, channels = images.shape
    by_image, by_row, by_column, by_channel = images.strides
    shape = (
        count,
        (height - size) // stride + 1,
        (width - size) // stride + 1,
        size,
        size * channels,
    )
    strides = (by_image, stride * by_row, stride * by_column, by_row, by_channel)
    return np.lib.stride_tricks.as_strided(images, shape, strides).copy()


def _reshape(
    shape: tuple[int, ...], features: np.ndarray, generator: np.random.Generator | None
) -> np.ndarray:
    return features.reshape(len(features), *shape)


def _channels_last(
    axes: tuple[int, ...],
    shape: tuple[int, ...],
    features: np.ndarray,
    generator: np.random.Generator | None,
) -> np.ndarray:
    return np.ascontiguousarray(features.transpose(axes).reshape(-1, *shape))
