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

import numpy as np
from threadpoolctl import threadpool_limits

from dqn_tf.agent.networks.dueling import combine
from dqn_tf.agent.networks.numpy_layers import Convolution, Dense, PlannedLayer
from dqn_tf.experience import exploration


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How an observation becomes features, float32.

    A Discrete space becomes one-hot, or the number of the category where the first layer can look
    its row up. Tokens become one-hot each or, with `counts_tokens`, how often each of them occurs,
    `padding` left out. Pictures of bytes are scaled to [0, 1], all else stays as it is.
    """

    observation_shape: tuple[int, ...]
    observation_dtype: str
    categories: int  # of a Discrete space or of tokens, else 0
    category_start: int
    scales_pixels: bool
    counts_tokens: bool = False
    padding: int | None = None  # the token that fills an observation behind its end

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the features of one observation."""
        if not self.categories:
            return self.observation_shape
        leading = () if self.counts_tokens else self.observation_shape
        return (*leading, self.categories)

    @property
    def counted(self) -> np.ndarray:
        """1 for each token that is counted, 0 for the padding, [V] float32."""
        tokens = np.arange(self.category_start, self.category_start + self.categories)
        return (tokens != self.padding).astype(np.float32)

    def bind(self) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return the function from observations to features; None if they are the same."""
        if self.counts_tokens:
            return functools.partial(_counts, self.counted, self.category_start)
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
    behaviour: tuple[PlannedLayer, ...] = ()  # the behaviour head, where there is one
    support: float = 0.0  # 0, or the least share of its likeliest action
    q_weight: float = 0.0  # of Q-values beside its log-probabilities when acting, or 0

    @property
    def convolves(self) -> bool:
        """Whether there is a convolution."""
        return any(isinstance(layer, Convolution) for layer in self.torso)

    @property
    def looks_up(self) -> bool:
        """Whether the layers that see a category are dense ones, which can look its row up."""
        heads = (*self.streams, self.behaviour) if self.behaviour else self.streams
        seeing = self.torso[:1] or tuple(stream[0] for stream in heads)
        are_dense = all(isinstance(layer, Dense) for layer in seeing)
        is_one = bool(self.encoding.categories) and not self.encoding.observation_shape
        return is_one and are_dense

    @property
    def single_layers(self) -> list[Dense]:
        """The layers from an observation to its Q-values, if these are all; else none."""
        layers = [*self.torso, *self.streams[0]]
        reads_more = len(self.streams) > 1 or self.reading.atoms > 1
        if reads_more or self.encoding.bind() is not None:
            return []
        # not `isinstance`: a layer of your own that derives from it may do something else
        dense = [layer for layer in layers if type(layer) is Dense]
        return dense if len(dense) == len(layers) else []


class NumpyQFunction:
    """Q-values in NumPy, equal to the network's up to rounding.

    `weights` are flat, [P] float32. `read_weights` gives the newest ones to `refresh`, where it is
    called without. From the first object on, NumPy's BLAS has one thread.
    """

    keeps_weights = True  # until `refresh`, whatever the network learns meanwhile

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
        self._single_layers = plan.single_layers
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
        self._behaviour = [layer.bind(weights) for layer in plan.behaviour]
        self._single = [layer.bind_single(weights) for layer in self._single_layers]
        if self._looks_up:
            start = plan.encoding.category_start
            places = [(self._torso, plan.torso)] if plan.torso else []
            heads = [*zip(self._streams, plan.streams, strict=True)]
            if plan.behaviour:
                heads.append((self._behaviour, plan.behaviour))
            for bound, layers in places or heads:
                first = layers[0]
                assert isinstance(first, Dense)
                bound[0] = first.bind_categories(start, weights)

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return Q-values [N, A] float32 of observations [N, *shape].

        With a generator, noisy layers draw each row's noise from it.
        """
        if self._single and len(observation) == 1:
            return self._q_values_of_one(observation[0])[np.newaxis]
        return self._q_values_of(self._features(observation, generator), generator)

    def greedy_action(
        self,
        observation: np.ndarray,
        mask: np.ndarray | None = None,
        generator: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Return the best of the legal and supported actions [N] int64, counted from 0.

        `mask` [N, A] bool are the legal ones; the generator is that of `q_values`.
        """
        plan = self._plan
        if self._single and len(observation) == 1 and mask is None and not plan.behaviour:
            return self._q_values_of_one(observation[0]).argmax(0, keepdims=True)
        features = self._features(observation, generator)
        q_values = self._q_values_of(features, generator)
        if plan.support or plan.q_weight:
            behaviour = self._behaviour_of(features)
            q_values = exploration.preferences(q_values, behaviour, plan.q_weight)
            if plan.support:
                mask = exploration.supported_actions(behaviour, plan.support, mask)
        return exploration.greedy_action(q_values, mask)

    def behaviour(self, observation: np.ndarray) -> np.ndarray:
        """Return the behaviour head's logits [N, A] float32, where there is such a head."""
        return self._behaviour_of(self._features(observation, None))

    def _features(
        self, observation: np.ndarray, generator: np.random.Generator | None
    ) -> np.ndarray:
        features = observation if self._encode is None else self._encode(observation)
        for layer in self._torso:
            features = layer(features, generator)
        return features

    def _q_values_of_one(self, observation: np.ndarray) -> np.ndarray:
        """Return Q-values [A] of an observation [inputs], whose layers are all dense."""
        features = observation
        for layer in self._single:
            features = layer(features, None)
        return features

    def _behaviour_of(self, features: np.ndarray) -> np.ndarray:
        for layer in self._behaviour:
            features = layer(features, None)
        return features

    def _q_values_of(
        self, features: np.ndarray, generator: np.random.Generator | None
    ) -> np.ndarray:
        streams = []
        for stream in self._streams:
            outputs = features
            for layer in stream:
                outputs = layer(outputs, generator)
            streams.append(outputs)
        return self._read(streams[0] if len(streams) == 1 else combine(*streams))


def _one_hot(categories: int, start: int, observation: np.ndarray) -> np.ndarray:
    place = observation.astype(np.intp, copy=False).reshape(-1) - start
    features = np.zeros((len(place), categories), np.float32)
    features[np.arange(len(place)), place] = 1.0
    return features.reshape(*observation.shape, categories)


def _counts(counted: np.ndarray, start: int, observation: np.ndarray) -> np.ndarray:
    count, categories = len(observation), len(counted)
    place = observation.astype(np.intp) - start
    place += categories * np.arange(count)[:, np.newaxis]
    counts = np.bincount(place.reshape(-1), minlength=count * categories)
    features: np.ndarray = counts.reshape(count, categories) * counted
    return features


def _as_float32(observation: np.ndarray) -> np.ndarray:
    return observation.astype(np.float32, order="C", copy=False)


def _scaled_pixels(observation: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = _as_float32(observation) / np.float32(255.0)
    return pixels


def _softmax_means(support: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    weights = np.exp(outputs - outputs.max(axis=2, keepdims=True))
    means: np.ndarray = weights @ support / weights.sum(axis=2)
    return means
