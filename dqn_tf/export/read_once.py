"""Signatures by which a server reads each text once: `text_features` and `from_features`."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.agent.networks.torsos.pretrained import Pretrained
from dqn_tf.envs.dialogues import PADDING, ROLES
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.checked_rows import count_missing, mask_of_all_places, require_rows

Outputs = dict[str, tf.Tensor]


class Acting(NamedTuple):
    """A signature that acts: its function, its inputs, and the mask that its twin takes, too."""

    function: Callable[..., Outputs]
    inputs: list[tf.TensorSpec]
    mask: tf.TensorSpec


class ReadOnce:
    """What a language model says of texts, and what the layers above it make of that.

    Each method but `acting` maps tensors to tensors and is one signature, uncompiled.
    """

    def __init__(self, network: QNetwork, spaces: Spaces, action_names: Sequence[str]) -> None:
        self._network = network
        self._torso: Any = network.torso
        self._spaces = spaces
        self._action_names = list(action_names)

    @staticmethod
    def fits(network: QNetwork) -> bool:
        """Return whether a network reads texts apart from what it makes of them."""
        return isinstance(network.torso, Pretrained)

    def acting(self) -> Acting:
        """Return the signature `from_features`."""
        spaces, width = self._spaces, self._torso.text_width
        inputs = [
            tf.TensorSpec((None, spaces.messages, width), tf.float32, "features"),
            tf.TensorSpec((None, spaces.messages), tf.string, "role"),
        ]
        if not spaces.choices:
            mask = tf.TensorSpec((None, spaces.actions), tf.bool, "action_mask")
            return Acting(self.from_features, inputs, mask)
        inputs += [
            tf.TensorSpec((None, None), tf.string, "choices"),
            tf.TensorSpec((None, None, width), tf.float32, "choice_features"),
        ]
        mask = tf.TensorSpec((None, None), tf.bool, "action_mask")
        return Acting(self.from_features_and_choices, inputs, mask)

    def reading(self) -> tuple[Callable[..., Outputs], list[tf.TensorSpec]]:
        """Return the signature `text_features` and its inputs."""
        return self.text_features, [tf.TensorSpec((None, self._torso.length), tf.int32, "tokens")]

    def text_features(self, tokens: tf.Tensor) -> Outputs:
        """Return what the language model says of texts [N, L]."""
        with self._torso.for_export():
            features = self._torso.text_features(tf.maximum(tokens, PADDING))
        return {"features": tf.ensure_shape(features, (None, self._torso.text_width))}

    def from_features(
        self, features: tf.Tensor, role: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Outputs:
        """Return action and Q-values for messages, and the name of the action."""
        outputs = self._decided(features, role, None, action_mask)
        if self._action_names:
            place = outputs["action"] - self._spaces.action_start
            outputs["action_text"] = tf.gather(tf.constant(self._action_names), place)
        return outputs

    def from_features_and_choices(
        self,
        features: tf.Tensor,
        role: tf.Tensor,
        choices: tf.Tensor,
        choice_features: tf.Tensor,
        action_mask: tf.Tensor | None = None,
    ) -> Outputs:
        """Return action and Q-values for messages and choices, and the chosen text."""
        room, width = self._spaces.choices, self._torso.text_width
        choices = require_rows(choices, (None, None), "choices", features, "features")
        missing = count_missing(choices, room)
        equal = tf.debugging.assert_equal(
            tf.shape(choice_features)[:2],
            tf.shape(choices),
            "choice_features must be as many as choices",
        )
        with tf.control_dependencies([equal]):
            padded = tf.pad(choice_features, [(0, 0), (0, missing), (0, 0)])
        if action_mask is not None:
            action_mask = mask_of_all_places(action_mask, choices, room)
        padded = tf.ensure_shape(padded, (None, room, width))
        outputs = self._decided(features, role, padded, action_mask)
        texts = tf.concat([choices, tf.fill((tf.shape(choices)[0], missing), "")], axis=1)
        place = outputs["action"] - self._spaces.action_start
        outputs["action_text"] = tf.gather(texts, place, axis=1, batch_dims=1)
        outputs["q_values"] = outputs["q_values"][:, : tf.shape(choices)[1]]
        return outputs

    def _decided(
        self,
        features: tf.Tensor,
        role: tf.Tensor,
        choice_features: tf.Tensor | None,
        action_mask: tf.Tensor | None,
    ) -> Outputs:
        role = require_rows(role, (None, self._spaces.messages), "role", features, "features")
        number = tf.fill(tf.shape(role), len(ROLES) - 1)
        number = tf.where(role == "", PADDING, number)
        for place, name in enumerate(ROLES[1:-1], 1):
            number = tf.where(role == name, place, number)
        q_values, behaviour = self._network.values_of_features(features, number, choice_features)
        if action_mask is not None:
            shape = (None, self._spaces.actions)
            action_mask = require_rows(action_mask, shape, "action_mask", q_values)
        action = self._network.greedy_action(q_values, behaviour, action_mask)
        return {"action": action + self._spaces.action_start, "q_values": q_values}
