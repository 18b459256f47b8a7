"""The interface of a torso: from an encoded observation to what the head reads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.numpy_forward import Encoding
from dqn_tf.agent.networks.numpy_layers import Places, PlannedLayer
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces


class Torso(tf.keras.layers.Layer):
    """A Keras layer from features [B, ...] to [B, width] float32, made anew for each network.

    A torso of your own makes its layers in `__init__`, after `super().__init__(spaces, config,
    seeds)`, sets `width`, and has a `call`. Give each initializer `next(seeds)`, or the run's seed
    does not decide the weights. Everything else may stay as it is here: the update then runs
    without XLA, acting uses a compiled call, and an export to ONNX is refused.
    """

    width: int
    # widths of the hidden layers that each stream of the head has for itself
    head_units: tuple[int, ...] = ()
    # XLA fuses an update of small dense layers into few kernels, and compiles for seconds. What
    # does not use it has an Adam, a norm and a target update that read the weights once.
    uses_xla: bool = False
    # for layers that fail on an empty batch, which servers send
    pads_empty_batch: bool = False
    # tokens of an observation that make one of the steps of `steps`, where there is such a method
    tokens_per_step: int = 1
    # `encode` gives how often each token occurs, and not which token stands where
    counts_tokens: bool = False
    # `call` takes `noise_seed`, int32 [2] or None, too
    takes_noise: bool = False
    # numbers that its method `text_features` returns of each text [L] of tokens, where there is one
    text_width: int = 0
    # `__init__` takes `num_agents`; `call` then returns [K, B / K, width] of features [B, ...]
    can_stack: bool = False

    def __init__(
        self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int], name: str = "torso"
    ) -> None:
        super().__init__(name=name, dtype="float32")
        self.encoding = make_encoding(spaces, self.counts_tokens)

    @property
    def token_embedding(self) -> tf.keras.layers.Layer | None:
        """The torso's embedding of tokens, which choices told as texts share; None without one."""
        return None

    @classmethod
    def refusal(cls, spaces: Spaces) -> str:
        """Say in a sentence why the torso cannot take these spaces; empty if it can."""
        return ""

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return the features of observations [B, *shape] in the environment's own dtype.

        They are float32: one-hot for a Discrete space and for tokens [B, T, V], or counts of tokens
        [B, V] if the encoding says so, pictures of bytes scaled to [0, 1], all else as it is, and
        their axes lie as the environment's. A torso that needs something else has an `encode` of
        its own.
        """
        encoding = self.encoding
        if encoding.categories:
            if encoding.observation_shape:  # tokens, of any integer type
                observation = tf.cast(observation, tf.int32)
            places = observation - encoding.category_start
            if encoding.counts_tokens:
                return token_counts(places, encoding.categories) * encoding.counted
            return tf.one_hot(places, encoding.categories)
        features = tf.cast(observation, tf.float32)
        return features / 255.0 if encoding.scales_pixels else features

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return [B, width] float32 of features [B, ...]."""
        raise NotImplementedError(f"{type(self).__name__} has no method `call`")

    def plan(self, places: Places) -> tuple[PlannedLayer, ...] | None:
        """Describe the torso as plain data for its forward pass in NumPy; None if it has none.

        `layers.planned` describes a dense layer or a convolution. What is described is compared
        with the network before it acts.
        """
        return None

    def for_export(self) -> contextlib.AbstractContextManager[None]:
        """Return what lasts while an export's graph is made: a torso may need to know."""
        return contextlib.nullcontext()

    def frozen_variables(self) -> Sequence[Any]:
        """Return Keras variables that the torso reads and that are none of its weights."""
        return ()

    def model_variables(self) -> Sequence[tf.Variable]:
        """Return those of the weights that begin as a file says, or as no change of it."""
        return ()

    def halvable(self) -> Sequence[Any]:
        """Return Keras variables that an export may hold in half as many bytes, if it is asked."""
        return ()

    def extra_files(self) -> Mapping[str, str]:
        """Return texts that an export holds for its server, by the names of their files."""
        return {}

    def sentences(self, trainable: int) -> Iterable[str]:
        """Say what a user should know before a run whose network has `trainable` weights."""
        return ()

    @property
    def identity(self) -> str:
        """What the torso takes from files, by its hash; empty if it takes nothing."""
        return ""

    def kept(self) -> dict[str, np.ndarray]:
        """Return what a checkpoint keeps only because making it again takes time; often nothing."""
        return {}

    def restore_kept(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `kept` returned."""

    def refusal_of_tflite(self) -> str:
        """Say why TFLite has no operations for the torso; empty if it has, or may have."""
        return ""

    def onnx(self, graph: Any, features: str) -> str:
        """Add the torso to a graph of ONNX; return the name of its output.

        `graph` is an `export.formats.onnx.Graph`, `features` names what `encode` returns.
        """
        raise NotImplementedError(f"the torso {type(self).__name__} has no ONNX twin")


def make_encoding(spaces: Spaces, counts_tokens: bool) -> Encoding:
    """Return how observations of these spaces become features."""
    return Encoding(
        spaces.observation_shape,
        spaces.observation_dtype,
        spaces.categories,
        spaces.category_start,
        spaces.scales_pixels,
        counts_tokens,
        spaces.padding,
    )


def token_counts(places: tf.Tensor, categories: int) -> tf.Tensor:
    """Return how often each token occurs, [B, V] float32, of tokens [B, T] int32 from 0 on.

    What is no token is not counted, as `tf.one_hot` has zeros for it. Adding up T numbers a row
    costs a small part of adding up T one-hot rows of V.
    """
    is_token = (places >= 0) & (places < categories)
    rows, width = tf.shape(places)[0], categories + 1  # the last place takes what is no token
    first = tf.range(rows)[:, tf.newaxis] * width  # of each row, [B, 1]
    places = tf.reshape(tf.where(is_token, places, categories) + first, (-1, 1))
    ones = tf.ones_like(places[:, 0], tf.float32)
    counts = tf.scatter_nd(places, ones, tf.reshape(rows * width, (1,)))
    return tf.reshape(counts, (-1, width))[:, :categories]
