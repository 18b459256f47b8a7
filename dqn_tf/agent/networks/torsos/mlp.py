"""Dense layers over the flattened observation."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from dqn_tf.agent.networks.layers import DenseLayers, planned
from dqn_tf.agent.networks.numpy_layers import Places, PlannedLayer, Reshape
from dqn_tf.agent.networks.torsos.base import Torso
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces


class MLP(Torso):
    """The hidden layers of `hidden_units`; dueling, the last of them is the streams'."""

    uses_xla = True
    takes_noise = True
    can_stack = True

    def __init__(
        self, spaces: Spaces, config: DQNConfig, seeds: Iterator[int], num_agents: int = 1
    ) -> None:
        super().__init__(spaces, config, seeds)
        shared, self.head_units = shared_and_own(config.hidden_units, config.dueling)
        self.num_agents = num_agents
        self.inputs = math.prod(self.encoding.shape)
        self.width = shared[-1] if shared else self.inputs
        dense = DenseLayers(config, seeds, self.uses_xla, num_agents)
        self.hidden = dense.hidden(self.inputs, shared, "hidden")

    def call(
        self, features: tf.Tensor, training: bool = False, noise_seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return [B, width], or of K agents [K, B / K, width], of features [B, ...]."""
        lead = (self.num_agents,) if self.num_agents > 1 else ()
        features = tf.reshape(features, (*lead, -1, self.inputs))
        for layer in self.hidden:
            features = layer(features, noise_seed=noise_seed, training=training)
        return features

    def plan(self, places: Places) -> tuple[PlannedLayer, ...]:
        """Describe the torso as plain data."""
        is_flat = len(self.encoding.shape) == 1
        flatten = () if is_flat else (Reshape((-1,)),)
        return (*flatten, *(planned(layer, places) for layer in self.hidden))

    def onnx(self, graph: Any, features: str) -> str:
        """Add the torso to a graph of ONNX; return the name of its output."""
        features = graph.reshape(features, (self.inputs,))
        for layer in self.hidden:
            features = graph.layer(layer, features)
        return features


def shared_and_own(
    widths: tuple[int, ...], dueling: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Divide hidden layers into those of the torso and those that each stream has for itself."""
    return (widths[:-1], widths[-1:]) if dueling else (widths, ())
