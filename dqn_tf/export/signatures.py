"""The signatures of an export: what a client sends, and what it gets back.

    name               inputs                                   outputs
    serving_default    observation                              action, q_values
    q_values           observation                              q_values
    action             observation                              action
    epsilon_greedy     observation, epsilon, seed               action, q_values
    observation_bytes  observation_bytes (images of bytes)      action, q_values
    metadata           key                                      value

observation [B, *shape] has the environment's own dtype; epsilon [B] is float32, seed [B] int64,
observation_bytes [B] string, each the raw bytes of one observation. action [B] is int64 in the
environment's own numbers, q_values [B, A] float32. Where the environment has masks, each signature
that gives an action has a twin `…_masked` that takes action_mask [B, A] bool as well and acts among
the legal actions. `metadata` takes keys [B] of the manifest and gives their values [B] as JSON
text, empty for an unknown key.

Every input's shape is checked inside the graph, since servers do not check it: what does not fit is
INVALID_ARGUMENT, never broadcast.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.envs.spaces import Spaces

EXPLORES, CHOOSES = (1, 0), (2, 0)  # keys of the hash: a row's two random numbers are independent
RESOLUTION = 2**53  # random numbers that a float64 tells apart

Answer = dict[str, tf.Tensor]


class Served(tf.Module):
    """What is exported.

    `endpoints` are the signatures by name; `metadata` is what the signature of that name knows.
    """

    def __init__(self, agent: DQN, metadata: dict[str, Any]) -> None:
        super().__init__()
        # Only the variables are tracked: a tracked Keras model is traced by Keras with float32,
        # whatever it observes.
        self.network_variables = [
            variable if isinstance(variable, tf.Variable) else variable.value
            for variable in agent.online.variables
        ]
        self.endpoints = endpoints(Policy(agent.online, agent.spaces), metadata)


class Policy:
    """The network, without noise, and the policies that come of its Q-values. Tensors to tensors."""

    def __init__(self, network: QNetwork, spaces: Spaces) -> None:
        self._network, self._spaces, self._shape = (
            network,
            spaces,
            (None, *spaces.observation_shape),
        )

    def serving_default(
        self, observation: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Answer:
        """The greedy action, and all Q-values."""
        q_values = self._q_values(observation)
        return {
            "action": self._named(losses.greedy(q_values, self._mask(action_mask, q_values))),
            "q_values": q_values,
        }

    def q_values(self, observation: tf.Tensor) -> Answer:
        """The Q-values alone."""
        return {"q_values": self._q_values(observation)}

    def action(self, observation: tf.Tensor, action_mask: tf.Tensor | None = None) -> Answer:
        """The greedy action alone."""
        return {"action": self.serving_default(observation, action_mask)["action"]}

    def epsilon_greedy(
        self,
        observation: tf.Tensor,
        epsilon: tf.Tensor,
        seed: tf.Tensor,
        action_mask: tf.Tensor | None = None,
    ) -> Answer:
        """With probability epsilon a uniform legal action, else the greedy one.

        A row's outcome is a function of that row alone.
        """
        q_values = self._q_values(observation)
        epsilon, seed = (
            _of_batch(rows, (None,), name, q_values)
            for rows, name in ((epsilon, "epsilon"), (seed, "seed"))
        )
        mask = self._mask(action_mask, q_values)
        legal = tf.cast(tf.ones_like(q_values, tf.bool) if mask is None else mask, tf.float64)
        # among the legal ones, counted from 0
        place = tf.floor(uniform(seed, CHOOSES) * tf.reduce_sum(legal, axis=1))
        drawn = tf.argmax(tf.cumsum(legal, axis=1) > place[:, tf.newaxis], axis=1)
        explores = uniform(seed, EXPLORES) < tf.cast(epsilon, tf.float64)
        return {
            "action": self._named(tf.where(explores, drawn, losses.greedy(q_values, mask))),
            "q_values": q_values,
        }

    def observation_bytes(
        self, observation_bytes: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Answer:
        """`serving_default` on raw bytes, row by row in C order."""
        rows = tf.io.decode_raw(tf.ensure_shape(observation_bytes, (None,)), tf.uint8)
        # With the batch given, bytes of a wrong length are an error; a free -1 would make them
        # other rows.
        observation = tf.reshape(
            rows, (tf.shape(observation_bytes)[0], *self._spaces.observation_shape)
        )
        return self.serving_default(observation, action_mask)

    def _q_values(self, observation: tf.Tensor) -> tf.Tensor:
        observation = tf.ensure_shape(observation, self._shape)
        if not self._network.torso.pads_empty_batch:
            return self._network(observation)
        # an empty batch gets a row, which is then taken away again
        batch = tf.shape(observation)[0]
        padding = [
            [0, tf.cast(batch == 0, tf.int32)],
            *[[0, 0]] * len(self._spaces.observation_shape),
        ]
        return self._network(tf.pad(observation, padding))[:batch]

    def _mask(self, action_mask: tf.Tensor | None, q_values: tf.Tensor) -> tf.Tensor | None:
        if action_mask is None:
            return None
        return _of_batch(action_mask, (None, self._spaces.actions), "action_mask", q_values)

    def _named(self, action: tf.Tensor) -> tf.Tensor:
        return action + self._spaces.action_start


def endpoints(policy: Policy, metadata: dict[str, Any]) -> dict[str, Callable]:
    """The signatures by name, as compiled functions."""
    spaces = policy._spaces
    observation = tf.TensorSpec(
        (None, *spaces.observation_shape), spaces.observation_dtype, "observation"
    )
    acting = {
        "serving_default": (policy.serving_default, observation),
        "action": (policy.action, observation),
        "epsilon_greedy": (
            policy.epsilon_greedy,
            observation,
            tf.TensorSpec((None,), tf.float32, "epsilon"),
            tf.TensorSpec((None,), tf.int64, "seed"),
        ),
    }
    if spaces.observation_dtype == "uint8" and len(spaces.observation_shape) == 3:
        acting["observation_bytes"] = (
            policy.observation_bytes,
            tf.TensorSpec((None,), tf.string, "observation_bytes"),
        )
    compiled = {name: _compiled(*parts) for name, parts in acting.items()}
    if spaces.masked:
        mask = tf.TensorSpec((None, spaces.actions), tf.bool, "action_mask")
        compiled |= {f"{name}_masked": _compiled(*parts, mask) for name, parts in acting.items()}
    return compiled | {
        "q_values": _compiled(policy.q_values, observation),
        "metadata": _compiled(lookup(metadata), tf.TensorSpec((None,), tf.string, "key")),
    }


def uniform(seed: tf.Tensor, key: tuple[int, int]) -> tf.Tensor:
    """Seeds [B] int64 → [B] float64 in [0, 1), each a function of its seed alone: SipHash, keyed
    (Aumasson and Bernstein 2012).

    TensorFlow's stateless generators take one seed for a whole tensor, so what a row draws would
    depend on its place.
    """
    hashed = tf.strings.to_hash_bucket_strong(tf.strings.as_string(seed), RESOLUTION, key)
    return tf.cast(hashed, tf.float64) / RESOLUTION


def lookup(metadata: dict[str, Any]) -> Callable[[tf.Tensor], Answer]:
    """key [B] string → value [B] string: the JSON text of that entry, empty for an unknown one."""
    values = tf.constant(["", *map(json.dumps, metadata.values())])

    def find(key: tf.Tensor) -> Answer:
        known = tf.cast(
            tf.ensure_shape(key, (None,))[:, tf.newaxis] == tf.constant(list(metadata)), tf.int64
        )
        return {
            "value": tf.gather(
                values, tf.reduce_sum(known * np.arange(1, len(metadata) + 1), axis=1)
            )
        }

    return find


def _of_batch(
    rows: tf.Tensor, shape: tuple[int | None, ...], name: str, q_values: tf.Tensor
) -> tf.Tensor:
    """An input that must have a row for each observation:

    a single one would be broadcast. (A reshape would be optimised away.)
    """
    equal = tf.debugging.assert_equal(
        tf.shape(rows)[0], tf.shape(q_values)[0], f"{name} must have as many rows as observation"
    )
    with tf.control_dependencies([equal]):
        return tf.ensure_shape(rows, shape)


def _compiled(function: Callable[..., Answer], *inputs: tf.TensorSpec) -> Callable:
    return tf.function(function, input_signature=inputs, autograph=False)
