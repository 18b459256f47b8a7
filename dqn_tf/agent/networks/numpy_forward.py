"""A Q-network's forward pass in NumPy, described by plain data.

A network describes itself as a `ForwardPlan`, which can be pickled and sent. A plan and the
weights, one after another in one array, make a `NumpyQFunction`. Nothing here needs TensorFlow, so
a remote process can act with it.

A call into TensorFlow costs more than the arithmetic of a small network, or of a large one on a
single observation. So the host engine acts with this too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from dqn_tf.agent.networks.dueling import combine

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
        function = _rectified_dense if self.rectified else _dense
        return functools.partial(function, self.kernel.view(weights), self.bias.row(weights))

    def bind_categories(self, start: int, weights: np.ndarray) -> Forward:
        """Return the function of categories [N] from `start`, equal to that of one-hot rows."""
        return functools.partial(
            _dense_row, self.kernel.view(weights), self.bias.row(weights), start, self.rectified
        )


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


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How an observation becomes features, float32.

    A Discrete space becomes one-hot, or the number of the category where the first layer can look
    its row up. Pictures of bytes are scaled to [0, 1], all else stays as it is.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: str
    categories: int  # of a Discrete space, else 0
    category_start: int
    scales_pixels: bool

    def bind(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return the function from observations to features; None if they are the same."""
        if self.categories:
            return functools.partial(_one_hot, self.categories, self.category_start)
        if self.observation_dtype == "float32" and len(self.observation_shape) == 1:
            return None
        return _scaled_pixels if self.scales_pixels else _as_float32


@dataclasses.dataclass(frozen=True)
class Reading:
    """How Q-values are read from a network's outputs.

    With one atom they are the outputs. With a support (c51) they are the means of softmax
    distributions on it, else (quantiles) the means of the atoms.
    """

    atoms: int = 1
    support: tuple[float, ...] = ()

    def bind(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function from outputs, [N, A] or [N, A, atoms], to Q-values [N, A]."""
        if self.atoms == 1:
            return lambda outputs: outputs
        if not self.support:
            return lambda outputs: outputs.mean(axis=2)
        return functools.partial(_softmax_means, np.array(self.support, np.float32))


@dataclasses.dataclass(frozen=True)
class ForwardPlan:
    """A Q-network's forward pass as plain data: encode, torso, streams of the head, reading."""

    encoding: Encoding
    torso: tuple[PlannedLayer, ...]
    streams: tuple[
        tuple[PlannedLayer, ...], ...
    ]  # one, or dueling: of the value, of the advantages
    reading: Reading
    size: int  # numbers in the flat weights, P

    @property
    def convolves(self) -> bool:
        """Whether there is a convolution."""
        return any(isinstance(layer, Convolution) for layer in self.torso)

    @property
    def looks_up(self) -> bool:
        """Whether the layers that see a category are dense ones, which can look its row up."""
        seeing = self.torso[:1] or tuple(stream[0] for stream in self.streams)
        are_dense = all(isinstance(layer, Dense) for layer in seeing)
        return bool(self.encoding.categories) and are_dense


class NumpyQFunction:
    """Q-values in NumPy, equal to the network's up to rounding.

    `weights` are flat, [P] float32. `read_weights` gives the newest ones to `refresh`, where it is
    called without. From the first object on, NumPy's BLAS has one thread.
    """

    def __init__(
        self,
        plan: ForwardPlan,
        weights: np.ndarray,
        read_weights: Callable[[], np.ndarray] | None = None,
    ) -> None:
        # With two, a product of 1 by 1024 by 1024 waits 8 ms for the core on which TensorFlow's
        # threads run, and takes 0.05 ms with one.
        threadpool_limits(1, user_api="blas")
        self._plan = plan
        self._read_weights = read_weights
        self._looks_up = plan.looks_up
        self._encode = None if self._looks_up else plan.encoding.bind()
        self._read = plan.reading.bind()
        self.refresh(weights)

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Act with these flat weights [P] float32 from now on; without them, with the newest.

        Raises ValueError if they are not as many as the plan says.
        """
        if weights is None:
            if self._read_weights is None:
                raise ValueError("refresh needs weights: there is no network to read them from")
            weights = self._read_weights()
        if weights.shape != (self._plan.size,):
            raise ValueError(f"{weights.shape} weights, where the plan has ({self._plan.size},)")
        plan = self._plan
        self._torso = [layer.bind(weights) for layer in plan.torso]
        self._streams = [[layer.bind(weights) for layer in stream] for stream in plan.streams]
        if self._looks_up:
            start = plan.encoding.category_start
            places = [(self._torso, plan.torso)] if plan.torso else []
            for bound, layers in places or zip(self._streams, plan.streams, strict=True):
                first = layers[0]
                assert isinstance(first, Dense)
                bound[0] = first.bind_categories(start, weights)

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return Q-values [N, A] float32 of observations [N, *shape].

        With a generator, noisy layers draw each row's noise from it.
        """
        features = observation if self._encode is None else self._encode(observation)
        for layer in self._torso:
            features = layer(features, generator)
        streams = []
        for stream in self._streams:
            outputs = features
            for layer in stream:
                outputs = layer(outputs, generator)
            streams.append(outputs)
        return self._read(streams[0] if len(streams) == 1 else combine(*streams))


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


def _one_hot(categories: int, start: int, observation: np.ndarray) -> np.ndarray:
    features = np.zeros((len(observation), categories), np.float32)
    features[np.arange(len(observation)), observation - start] = 1.0
    return features


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


def _as_float32(observation: np.ndarray) -> np.ndarray:
    return observation.astype(np.float32, order="C", copy=False)


def _scaled_pixels(observation: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = _as_float32(observation) / np.float32(255.0)
    return pixels


def _softmax_means(support: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    weights = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    means: np.ndarray = weights @ support / weights.sum(axis=2)
    return means
