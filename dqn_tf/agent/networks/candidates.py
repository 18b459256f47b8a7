"""Q-values of choices told as texts (He et al. 2016, DRRN): Q(s, c) from the text of c.

    c = relu(W mean of the embeddings of its tokens)      s = relu(W' of the torso's features)
    Q(s, c) = MLP([s, c, s ∘ c])

The weights are the same for every place, so a candidate's value depends neither on its place nor on
the candidates beside it, and there may be new ones after training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from dqn_tf.agent.networks.layers import DTYPE, DenseLayers
from dqn_tf.envs.spaces import Spaces

Embed = Callable[[tf.Tensor], tf.Tensor]  # tokens [...], counted from 0 → [..., E]


class Candidates(NamedTuple):
    """The candidates of a batch of states.

    Attributes:
      features: of each candidate, [B, C, width].
      is_there: [B, C] bool, false where a place has no candidate, only padding.
    """

    features: tf.Tensor
    is_there: tf.Tensor


class CandidateReader(tf.keras.layers.Layer):
    """Takes the candidates out of observations, and their features out of their tokens."""

    def __init__(self, spaces: Spaces, embedded: int, width: int, dense: DenseLayers) -> None:
        super().__init__(name="candidates", dtype=DTYPE)
        self.spaces = spaces
        self.width = width
        self.layers_of_text = dense.hidden(embedded, (width,), "candidate")
        self.built = True  # by its layers, when they are called first

    def split(self, observation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the states [B, T], as they are observed, and the candidates' tokens [B, C, L]."""
        spaces = self.spaces
        text = spaces.text_tokens
        candidates = tf.reshape(observation[:, text:], (-1, spaces.choices, spaces.choice_tokens))
        return observation[:, :text], candidates

    def call(
        self,
        tokens: tf.Tensor,
        embed: Embed | None,
        noise_seed: tf.Tensor | None = None,
        training: bool = False,
        read_texts: Embed | None = None,
    ) -> Candidates:
        """Return the candidates of their tokens [B, C, L], in the environment's numbers.

        They are means of `embed` of tokens or, where it is given, what `read_texts` says of texts
        [N, L].
        """
        spaces = self.spaces
        if read_texts is not None:
            padded = tf.reshape(tokens, (-1, tokens.shape[2]))
            is_there = tf.reduce_any(tokens != tf.cast(spaces.padding, tokens.dtype), axis=2)
            return self._with_layers(read_texts(padded), is_there, noise_seed, training)
        is_word = tokens != tf.cast(spaces.padding, tokens.dtype)  # [B, C, L]
        numbers = tf.cast(tokens, tf.int32) - spaces.category_start
        numbers = tf.clip_by_value(numbers, 0, spaces.categories - 1)
        weights = tf.cast(is_word, tf.float32)
        count = tf.maximum(tf.reduce_sum(weights, axis=2, keepdims=True), 1.0)
        assert embed is not None
        embedded = embed(numbers) * weights[..., tf.newaxis]  # [B, C, L, E]
        features = tf.reduce_sum(embedded, axis=2) / count  # [B, C, E]
        features = tf.reshape(features, (-1, features.shape[-1]))
        return self._with_layers(features, tf.reduce_any(is_word, axis=2), noise_seed, training)

    def of_features(self, features: tf.Tensor) -> Candidates:
        """Return the candidates of what was read of their texts, [B, C, E], 0 where there is none.

        It is what `call` does of their tokens, without noise.
        """
        is_there = tf.reduce_any(features != 0.0, axis=2)
        flat = tf.reshape(features, (-1, features.shape[2]))
        return self._with_layers(flat, is_there, None, False)

    def _with_layers(
        self,
        features: tf.Tensor,
        is_there: tf.Tensor,
        noise_seed: tf.Tensor | None,
        training: bool,
    ) -> Candidates:
        """Return the candidates of what was read of their texts, [B · C, E]."""
        for layer in self.layers_of_text:
            features = layer(features, noise_seed=noise_seed, training=training)
        return Candidates(tf.reshape(features, (-1, self.spaces.choices, self.width)), is_there)


class ChoiceHead(tf.keras.layers.Layer):
    """A value for each candidate, [B, C], or [B, C, N] with N > 1 atoms.

    Dueling, it is the value of the state and the candidate's advantage, less the mean advantage of
    the candidates that are there (Wang et al. 2016): one more candidate moves the values of all by
    the same number. `stream` names the single one.
    """

    def __init__(
        self,
        features: int,
        width: int,
        atoms: int,
        dueling: bool,
        dense: DenseLayers,
        name: str = "head",
        stream: str = "q_values",
    ) -> None:
        super().__init__(name=name, dtype=DTYPE)
        self.atoms = atoms
        self.state_layers = dense.hidden(features, (width,), "state")
        self.value: list[tf.keras.layers.Layer] = []
        if dueling:
            stream = "advantage"
            self.value = [
                *dense.hidden(width, (width,), "value_hidden"),
                dense.output(width, atoms, "value"),
            ]
        self.pair = [
            *dense.hidden(3 * width, (width,), f"{stream}_hidden"),
            dense.output(width, atoms, stream),
        ]
        self.built = True  # by its layers, when they are called first

    def call(
        self,
        features: tf.Tensor,
        candidates: Candidates,
        noise_seed: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Return outputs [B, C] or [B, C, N] of a state's features [B, width], for each candidate.

        Those of places without a candidate mean nothing.
        """
        options = {"noise_seed": noise_seed, "training": training}
        state = _through(self.state_layers, features, options)  # [B, W]
        count, width = candidates.features.shape[1:]
        beside = tf.repeat(state[:, tf.newaxis], count, axis=1)  # [B, C, W]
        pairs = tf.concat([beside, candidates.features, beside * candidates.features], axis=2)
        outputs = _through(self.pair, tf.reshape(pairs, (-1, 3 * width)), options)
        outputs = tf.reshape(outputs, (-1, count, self.atoms))
        if self.value:
            value = _through(self.value, state, options)[:, tf.newaxis]  # [B, 1, N]
            outputs = value + outputs - _mean_of_those_there(outputs, candidates.is_there)
        return outputs if self.atoms > 1 else outputs[..., 0]


def below_all(values: tf.Tensor, is_there: tf.Tensor) -> tf.Tensor:
    """Return values [B, C] in which places without a candidate are 1 below the least of the others.

    So who knows no mask takes none of them.
    """
    least = tf.reduce_min(tf.where(is_there, values, values.dtype.max), axis=1, keepdims=True)
    least = tf.where(tf.reduce_any(is_there, axis=1, keepdims=True), least, 0.0)
    return tf.where(is_there, values, least - 1.0)


def _mean_of_those_there(advantage: tf.Tensor, is_there: tf.Tensor) -> tf.Tensor:
    """Return the mean over candidates of [B, C, N], as [B, 1, N]."""
    weights = tf.cast(is_there, tf.float32)[..., tf.newaxis]  # [B, C, 1]
    count = tf.maximum(tf.reduce_sum(weights, axis=1, keepdims=True), 1.0)
    return tf.reduce_sum(advantage * weights, axis=1, keepdims=True) / count


def _through(layers: list, inputs: tf.Tensor, options: dict) -> tf.Tensor:
    for layer in layers:
        inputs = layer(inputs, **options)
    return inputs
