"""The head of a Q-network: from a torso's features to outputs for each action."""

from __future__ import annotations

import tensorflow as tf

from dqn_tf.agent.networks import numpy_layers
from dqn_tf.agent.networks.dueling import combine
from dqn_tf.agent.networks.layers import DTYPE, DenseLayers, planned


class Head(tf.keras.layers.Layer):
    """One stream of dense layers or, dueling, the streams of value and advantages.

    The outputs are [B, A], or [B, A, N] with N > 1 atoms. Each stream has hidden layers of its own
    (Wang et al. 2016). `stream` names the single one.
    """

    def __init__(
        self,
        width: int,
        hidden_units: tuple[int, ...],
        actions: int,
        atoms: int,
        dueling: bool,
        dense: DenseLayers,
        name: str = "head",
        stream: str = "q_values",
    ) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.atoms = atoms
        outputs = {"value": atoms, "advantage": actions * atoms}
        if not dueling:
            outputs = {stream: actions * atoms}
        self.streams: list[list[tf.keras.layers.Layer]] = []
        for name, units in outputs.items():
            hidden = dense.hidden(width, hidden_units, f"{name}_hidden")
            last_width = hidden_units[-1] if hidden_units else width
            self.streams.append([*hidden, dense.output(last_width, units, name)])
        # Keras 2 saves the layers in a list, and not those in lists of it.
        self.tracked_layers = [layer for layers in self.streams for layer in layers]
        self.built = True  # by its layers, when they are called first

    def call(
        self, features: tf.Tensor, noise_seed: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Return outputs [B, A] or [B, A, N] of features [B, width].

        With K stacked agents the features are [K, B / K, width].
        """
        streams = []
        for layers in self.streams:
            outputs = features
            for layer in layers:
                outputs = layer(outputs, noise_seed=noise_seed, training=training)
            streams.append(self._by_action(outputs))
        return streams[0] if len(streams) == 1 else combine(*streams)

    def _by_action(self, outputs: tf.Tensor) -> tf.Tensor:
        """[B, A · N] or [K, B / K, A · N] → [B, A] or [B, A, N]."""
        if self.atoms > 1:
            return tf.reshape(outputs, (-1, outputs.shape[-1] // self.atoms, self.atoms))
        if outputs.shape.rank == 3:
            return tf.reshape(outputs, (-1, outputs.shape[-1]))
        return outputs

    def plan(
        self, places: numpy_layers.Places
    ) -> tuple[tuple[numpy_layers.PlannedLayer, ...], ...]:
        """Describe the streams as plain data."""
        by_action = (numpy_layers.Reshape((-1, self.atoms)),) if self.atoms > 1 else ()
        return tuple(
            (*(planned(layer, places) for layer in layers), *by_action) for layers in self.streams
        )
