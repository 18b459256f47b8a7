"""The signatures of an export: what a client sends, and what it gets back.

    name               inputs                                   outputs
    serving_default    observation                              action, q_values
    q_values           observation                              q_values
    action             observation                              action
    epsilon_greedy     observation, epsilon, seed               action, q_values, propensity
    observation_bytes  observation_bytes (images of bytes)      action, q_values
    text               text (where tokens have a tokenizer),    action, q_values, action_text
                       choices (where they are told as texts)
    text_features      tokens (where a language model reads)    features
    from_features      features, role, and where choices are    action, q_values, action_text
                       told as texts: choices, choice_features
    metadata           key                                      value

observation [B, *shape] has the environment's own dtype. epsilon [B] is float32, seed [B] int64.
observation_bytes [B] are strings, each the raw bytes of one observation. text [B] are texts in
UTF-8, which become tokens in the graph (`text_input`), and action_text [B] is the name of the
action, where actions have names. Where choices are told as texts, `text` takes choices [B, K], too:
texts in UTF-8, at most as many as there is room for, an empty one where a row has fewer. Then
action_text is the chosen one, and q_values [B, K] are theirs. action [B] is int64 in the
environment's own numbers, q_values [B, A] float32. propensity [B] float32 is the probability with
which the action was chosen: whoever learns from what was served needs it.

Where the environment has masks, each signature that gives an action has a twin `…_masked`. It takes
action_mask [B, A] bool as well, of choices [B, K], and acts among the legal actions. `metadata`
takes keys [B] of the manifest and gives their values [B] as JSON text, empty for an unknown key.

With --support a greedy action is the best of those that the data support, and with --q_weight it
weighs the behaviour in, so it need not be the one with the largest of the q_values. What epsilon
draws is any legal action.

What a language model has read message by message it need not read again at the next turn (see
`read_once`). `text_features` says what is in texts, tokens [N, L] int32 with -1 behind them, as
features [N, W]. `from_features` acts by features [B, M, W] of messages and role [B, M], which is
"user", "assistant" or any other, and empty where there is no message. choice_features [B, K, W] are
those of the choices. Where there is no text, features are 0.

Every input's shape is checked inside the graph, since servers do not check it. What does not fit is
INVALID_ARGUMENT and is never broadcast.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.envs import tokenizer
from dqn_tf.envs.spaces import Spaces
from dqn_tf.export.checked_rows import mask_of_all_places, require_rows
from dqn_tf.export.read_once import ReadOnce
from dqn_tf.export.stored_weights import StoredWeights
from dqn_tf.export.text_input import TextInput

# Keys of the hash: with two, the two random numbers of a row are independent.
EXPLORES = (1, 0)
CHOOSES = (2, 0)
RESOLUTION = 2**53  # random numbers that a float64 can tell apart

Outputs = dict[str, tf.Tensor]
Signature = tuple[Callable[..., Outputs], list[tf.TensorSpec]]  # a function, and its inputs


class ExportModule(tf.Module):
    """The module that is saved: the network's variables and the signatures that use them.

    `endpoints` are the signatures by name, as compiled functions. `metadata` is what the signature
    of that name knows. `tokenizer` makes tokens of texts; None where there is no signature `text`.
    With `half`, the weights that the torso finds `halvable` are stored as float16.
    """

    def __init__(self, agent: DQN, metadata: dict[str, Any], half: bool = False) -> None:
        super().__init__()
        torso = agent.online.torso
        stored = StoredWeights(torso.halvable() if half else ())
        # Only the variables are tracked: Keras traces a tracked model with float32, whatever it
        # observes.
        self.network_variables = [stored.of(variable) for variable in agent.online.variables]
        # what the graph reads and no learning moves
        self.frozen_variables = [stored.of(variable) for variable in torso.frozen_variables()]
        self.tokenizer = tokenizer.of_names(metadata, agent.spaces)
        # an attribute, since its tables are saved with the module
        self.text_input = None if self.tokenizer is None else TextInput(self.tokenizer)
        functions = SignatureFunctions(
            agent.online, agent.spaces, self.text_input, metadata.get("action_meanings", ())
        )
        self.endpoints = {
            name: _compile(stored.reading(function), inputs)
            for name, (function, inputs) in _signatures(functions, agent.spaces, metadata).items()
        }

    def input_specs(self) -> dict[str, tuple[tf.TensorSpec, ...]]:
        """Return the inputs of each signature."""
        return {name: function.input_signature for name, function in self.endpoints.items()}


class SignatureFunctions:
    """The network without noise, and the policies that follow from its Q-values.

    Each method maps tensors to tensors and is one signature, uncompiled.
    """

    def __init__(
        self,
        network: QNetwork,
        spaces: Spaces,
        text_input: TextInput | None = None,
        action_names: Sequence[str] = (),
    ) -> None:
        self._network = network
        self._spaces = spaces
        self._action_names = list(action_names)
        self.text_input = text_input
        self.read_once: ReadOnce | None = None
        if ReadOnce.fits(network):
            self.read_once = ReadOnce(network, spaces, action_names)

    def serving_default(
        self, observation: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Outputs:
        """Return the greedy action and all Q-values."""
        q_values, behaviour = self._outputs(observation)
        mask = self._mask(action_mask, q_values)
        action = self._network.greedy_action(q_values, behaviour, mask)
        return {"action": self._environment_action(action), "q_values": q_values}

    def q_values(self, observation: tf.Tensor) -> Outputs:
        """Return the Q-values alone."""
        return {"q_values": self._outputs(observation)[0]}

    def action(self, observation: tf.Tensor, action_mask: tf.Tensor | None = None) -> Outputs:
        """Return the greedy action alone."""
        return {"action": self.serving_default(observation, action_mask)["action"]}

    def epsilon_greedy(
        self,
        observation: tf.Tensor,
        epsilon: tf.Tensor,
        seed: tf.Tensor,
        action_mask: tf.Tensor | None = None,
    ) -> Outputs:
        """Return a uniform legal action with probability epsilon, else the greedy one.

        Return how likely that was, too. A row's outcome is a function of that row alone.
        """
        q_values, behaviour = self._outputs(observation)
        epsilon = require_rows(epsilon, (None,), "epsilon", q_values)
        epsilon = tf.clip_by_value(tf.cast(epsilon, tf.float64), 0.0, 1.0)
        seed = require_rows(seed, (None,), "seed", q_values)
        mask = self._mask(action_mask, q_values)
        legal = tf.ones_like(q_values, tf.float64) if mask is None else tf.cast(mask, tf.float64)
        # The drawn action's place among the legal ones, counted from 0: [B].
        place = tf.floor(uniform(seed, CHOOSES) * tf.reduce_sum(legal, axis=1))
        drawn = tf.argmax(tf.cumsum(legal, axis=1) > place[:, tf.newaxis], axis=1)
        explores = uniform(seed, EXPLORES) < epsilon
        greedy = self._network.greedy_action(q_values, behaviour, mask)
        action = tf.where(explores, drawn, greedy)
        share = epsilon / tf.reduce_sum(legal, axis=1)
        propensity = tf.where(action == greedy, 1.0 - epsilon + share, share)
        return {
            "action": self._environment_action(action),
            "q_values": q_values,
            "propensity": tf.cast(propensity, tf.float32),
        }

    def observation_bytes(
        self, observation_bytes: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Outputs:
        """Return what `serving_default` does, for observations as raw bytes in C order."""
        rows = tf.io.decode_raw(tf.ensure_shape(observation_bytes, (None,)), tf.uint8)
        # With the batch given, bytes of a wrong length are an error; a free -1 would make them
        # other rows.
        batch = tf.shape(observation_bytes)[0]
        observation = tf.reshape(rows, (batch, *self._spaces.observation_shape))
        return self.serving_default(observation, action_mask)

    def text_and_choices(
        self, text: tf.Tensor, choices: tf.Tensor, action_mask: tf.Tensor | None = None
    ) -> Outputs:
        """Return what `serving_default` does, for texts and their choices, and the chosen texts."""
        assert self.text_input is not None
        choices = require_rows(choices, (None, None), "choices", text, "text")
        count = tf.shape(choices)[1]
        if action_mask is not None:
            action_mask = mask_of_all_places(action_mask, choices, self._spaces.actions)
        outputs = self.serving_default(self.text_input(text, choices), action_mask)
        place = outputs["action"] - self._spaces.action_start
        texts = self.text_input.with_all_places(choices)
        outputs["action_text"] = tf.gather(texts, place, axis=1, batch_dims=1)
        outputs["q_values"] = outputs["q_values"][:, :count]
        return outputs

    def text(self, text: tf.Tensor, action_mask: tf.Tensor | None = None) -> Outputs:
        """Return what `serving_default` does, for texts, and the names of the actions."""
        assert self.text_input is not None
        outputs = self.serving_default(self.text_input(text), action_mask)
        if self._action_names:
            place = outputs["action"] - self._spaces.action_start
            outputs["action_text"] = tf.gather(tf.constant(self._action_names), place)
        return outputs

    def _outputs(self, observation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return Q-values [B, A] and the behaviour's logits [B, A], None without such a head."""
        observation = tf.ensure_shape(observation, (None, *self._spaces.observation_shape))
        with self._network.torso.for_export():
            return self._outputs_of_rows(observation)

    def _outputs_of_rows(self, observation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        if not self._network.torso.pads_empty_batch:
            return self._network.q_values_and_behaviour(observation)
        # A convolution of TensorFlow 2.21 fails on an empty batch. So that gets a row of zeros,
        # which is taken away again. Not by tf.pad: oneDNN fuses a padding into the convolution
        # that follows it, and the row would be lost.
        batch = tf.shape(observation)[0]
        missing = tf.cast(batch == 0, tf.int32)
        row = tf.zeros((missing, *self._spaces.observation_shape), observation.dtype)
        q_values, behaviour = self._network.q_values_and_behaviour(
            tf.concat([observation, row], axis=0)
        )
        return q_values[:batch], None if behaviour is None else behaviour[:batch]

    def _mask(self, action_mask: tf.Tensor | None, q_values: tf.Tensor) -> tf.Tensor | None:
        if action_mask is None:
            return None
        return require_rows(action_mask, (None, self._spaces.actions), "action_mask", q_values)

    def _environment_action(self, action: tf.Tensor) -> tf.Tensor:
        return action + self._spaces.action_start


def uniform(seed: tf.Tensor, key: tuple[int, int]) -> tf.Tensor:
    """Draw a number from [0, 1) for each seed, a function of that seed alone.

    seed [B] int64 → [B] float64, by SipHash with a key (Aumasson and Bernstein 2012). TensorFlow's
    stateless generators take one seed for a whole tensor, so a row's number would depend on its
    place.
    """
    hashed = tf.strings.to_hash_bucket_strong(tf.strings.as_string(seed), RESOLUTION, key)
    return tf.cast(hashed, tf.float64) / RESOLUTION


def _signatures(
    functions: SignatureFunctions, spaces: Spaces, metadata: dict[str, Any]
) -> dict[str, Signature]:
    """Return the signatures by name, each as its function and its inputs."""
    observation = tf.TensorSpec(
        (None, *spaces.observation_shape), spaces.observation_dtype, "observation"
    )
    observation_bytes = tf.TensorSpec((None,), tf.string, "observation_bytes")
    epsilon = tf.TensorSpec((None,), tf.float32, "epsilon")
    seed = tf.TensorSpec((None,), tf.int64, "seed")
    mask = tf.TensorSpec((None, spaces.actions), tf.bool, "action_mask")
    key = tf.TensorSpec((None,), tf.string, "key")

    acting: dict[str, Signature] = {
        "serving_default": (functions.serving_default, [observation]),
        "action": (functions.action, [observation]),
        "epsilon_greedy": (functions.epsilon_greedy, [observation, epsilon, seed]),
    }
    if spaces.observation_dtype == "uint8" and len(spaces.observation_shape) == 3:
        acting["observation_bytes"] = (functions.observation_bytes, [observation_bytes])

    masks = dict.fromkeys(acting, mask)
    if functions.text_input is not None:
        text = tf.TensorSpec((None,), tf.string, "text")
        acting["text"], masks["text"] = (functions.text, [text]), mask
        if functions.text_input.reads_choices:
            choices = tf.TensorSpec((None, None), tf.string, "choices")
            acting["text"] = (functions.text_and_choices, [text, choices])
            masks["text"] = tf.TensorSpec((None, None), tf.bool, "action_mask")

    others: dict[str, Signature] = {
        "q_values": (functions.q_values, [observation]),
        "metadata": (_lookup(metadata), [key]),
    }
    if functions.read_once is not None:
        function, inputs, masks["from_features"] = functions.read_once.acting()
        acting["from_features"] = (function, inputs)
        others["text_features"] = functions.read_once.reading()
    if spaces.masked:
        for name, (function, inputs) in acting.items():
            others[f"{name}_masked"] = (function, [*inputs, masks[name]])
    return acting | others


def _lookup(metadata: dict[str, Any]) -> Callable[[tf.Tensor], Outputs]:
    """Return the signature `metadata`: key [B] string → value [B] string, the entry's JSON text."""
    names = tf.constant(list(metadata))  # [K]
    values = tf.constant(["", *map(json.dumps, metadata.values())])  # [K + 1], unknown keys first
    numbers = np.arange(1, len(metadata) + 1)

    def find(key: tf.Tensor) -> Outputs:
        is_entry = tf.ensure_shape(key, (None,))[:, tf.newaxis] == names  # [B, K]
        number = tf.reduce_sum(tf.cast(is_entry, tf.int64) * numbers, axis=1)
        return {"value": tf.gather(values, number)}

    return find


def _compile(function: Callable[..., Outputs], inputs: list[tf.TensorSpec]) -> Any:
    return tf.function(function, input_signature=inputs, autograph=False)
