"""The Q-network: encode, torso, head."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent import losses
from dqn_tf.agent.autograph import read_users_code
from dqn_tf.agent.column import require_observation
from dqn_tf.agent.networks.candidates import (
    CandidateReader,
    Candidates,
    ChoiceHead,
    below_all,
)
from dqn_tf.agent.networks.heads import Head
from dqn_tf.agent.networks.layers import DTYPE, DenseLayers, make_embedding
from dqn_tf.agent.networks.numpy_forward import ForwardPlan
from dqn_tf.agent.networks.numpy_layers import Place, PlannedLayer
from dqn_tf.agent.networks.torsos import TorsoMaker, make_torso, require_steps
from dqn_tf.agent.values import make_values
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.experience import EPISODE
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

# weights beyond which copying all of them costs more than entering TensorFlow for each variable
LARGE = 500_000


class Forward(NamedTuple):
    """What one forward pass computes."""

    features: tf.Tensor  # the torso's, [B, width]; of K stacked agents [K, B / K, width]
    outputs: tf.Tensor  # the head's, [B, A], or [B, A, N] for distributions
    behaviour: tf.Tensor | None = None  # the behaviour head's logits [B, A], where there is one
    is_there: tf.Tensor | None = None  # [B, A] bool, which choices are; None where all always are


class QNetwork(tf.keras.Model):
    """`observation [B, *shape] → q_values [B, A] float32`, with all preprocessing inside the graph.

    The torso is that of `config.network`, or what `torso` makes. The head is one stream of outputs
    or, with `dueling`, the streams of value and advantages. With `noisy` the dense layers of the
    built-in torsos and of the head are `NoisyDense`. The generator gives the initial weights.

    Where the configuration `learns_behaviour`, a second head estimates the policy that made the
    logged data: `behaviour`, logits [B, A]. It has no noise.

    Where choices are told as texts, the torso reads the state, and the heads give each choice its
    value from its own text: see `candidates`.

    With `num_agents=K`, K independent mlps are stacked: the first B / K observations are the first
    one's. Every variable then has an axis of length K in front.
    """

    def __init__(
        self,
        spaces: Spaces,
        config: DQNConfig,
        generator: np.random.Generator,
        num_agents: int = 1,
        torso: TorsoMaker | None = None,
    ) -> None:
        super().__init__(name="q_network", dtype=DTYPE)
        self.spaces = spaces
        self.num_agents = num_agents
        self.values = make_values(config)
        seeds = draw_seeds(generator)
        self.torso = make_torso(config, spaces.of_state(), seeds, num_agents, torso)
        if config.replay_unit == EPISODE:
            require_steps(type(self.torso))
        self._read = read_users_code(self._features, type(self.torso))
        self._read_steps = read_users_code(self._features_of_steps, type(self.torso))
        dense = DenseLayers(config, seeds, self.torso.uses_xla, num_agents)
        self.candidates: CandidateReader | None = None
        self.candidate_embedding: tf.keras.layers.Layer | None = None
        if spaces.choices:
            self._make_candidates(config, seeds, dense)
        self.head = self._head(config, self.values.atoms, config.dueling, dense)
        self.support = config.support
        self.q_weight = config.q_weight
        self.behaviour = None
        if config.learns_behaviour:
            # last, so that the others' weights are the same with it and without
            plain = dataclasses.replace(config, noisy=False)
            plain_dense = DenseLayers(plain, seeds, self.torso.uses_xla, num_agents)
            self.behaviour = self._head(config, 1, False, plain_dense, "behaviour", "behaviour")
        dtype = spaces.observation_dtype
        state = tf.zeros((num_agents, *spaces.of_state().observation_shape), dtype)
        self._require_width(self._read(state))
        self(tf.zeros((num_agents, *spaces.observation_shape), dtype))
        self.is_large = self.count_params() > LARGE

    def _make_candidates(self, config: DQNConfig, seeds: Iterator[int], dense: DenseLayers) -> None:
        """Make what reads the candidates; it shares the torso's embedding, where there is one."""
        if self.torso.text_width:  # it reads the choices, too
            read = self.torso.text_width
            self.candidates = CandidateReader(self.spaces, read, config.width, dense)
            return
        embedding = self.torso.token_embedding
        if embedding is None:
            embedding = self.candidate_embedding = make_embedding(
                self.spaces.categories, config.width, next(seeds), "candidate_tokens"
            )
        self.candidates = CandidateReader(self.spaces, embedding.output_dim, config.width, dense)

    def _head(
        self,
        config: DQNConfig,
        atoms: int,
        dueling: bool,
        dense: DenseLayers,
        name: str = "head",
        stream: str = "q_values",
    ) -> Head | ChoiceHead:
        """Make a head of numbered actions, or of choices told as texts."""
        width = self.torso.width
        if self.candidates is not None:
            return ChoiceHead(width, config.width, atoms, dueling, dense, name, stream)
        units, actions = self.torso.head_units, self.spaces.actions
        return Head(width, units, actions, atoms, dueling, dense, name, stream)

    def call(self, observation: tf.Tensor) -> tf.Tensor:
        """Return Q-values [B, A] float32, without noise, of observations in their own dtype."""
        return self.q_values_and_behaviour(observation)[0]

    def q_values_and_behaviour(
        self, observation: tf.Tensor, noise_seed: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return Q-values [B, A] and the behaviour's logits [B, A], None without such a head.

        `noise_seed` is that of `forward`. Where a place has no choice, both are below all others.
        """
        return self._values_of(self.forward(observation, noise_seed))

    def values_of_features(
        self, features: tf.Tensor, roles: tf.Tensor, choices: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return what `q_values_and_behaviour` does, of what a language model said of texts.

        That is the torso's `text_features`: features [B, M, W] of messages, and choices [B, C, W]
        where they are told as texts; 0 where there is no text. roles [B, M] int are those of an
        observation.
        """
        said = self.torso(self.torso.with_roles(features, roles))
        candidates = None
        if self.candidates is not None:
            candidates = self.candidates.of_features(choices)
        return self._values_of(self._heads(said, None, False, candidates))

    def _values_of(self, forward: Forward) -> tuple[tf.Tensor, tf.Tensor | None]:
        q_values, behaviour = self.values.q_values(forward.outputs), forward.behaviour
        if forward.is_there is None:
            return q_values, behaviour
        if behaviour is not None:
            behaviour = below_all(behaviour, forward.is_there)
        return below_all(q_values, forward.is_there), behaviour

    def forward(
        self, observation: tf.Tensor, noise_seed: tf.Tensor | None = None, training: bool = False
    ) -> Forward:
        """Return the torso's features and the heads' outputs.

        `noise_seed`, int32 [2], draws the noise of noisy layers; without it they are their means.
        `training` forms gradients faster. Raises UserError if the observations do not fit.
        """
        require_observation(observation, self.spaces)
        noise = {"noise_seed": noise_seed} if self.torso.takes_noise else {}
        candidates = None
        if self.candidates is not None:
            observation, tokens = self.candidates.split(observation)
            embed: Any = self.torso.token_embedding or self.candidate_embedding
            read_texts = self.torso.text_features if self.torso.text_width else None
            candidates = self.candidates.call(tokens, embed, noise_seed, training, read_texts)
        features = self._read(observation, training=training, **noise)
        return self._heads(features, noise_seed, training, candidates)

    def forward_steps(
        self,
        sequence: tf.Tensor,
        position: tf.Tensor,
        noise_seed: tf.Tensor | None = None,
        training: bool = False,
    ) -> Forward:
        """Return what `forward` returns of the beginnings of sequences, in one pass over each.

        sequence [E, T] are tokens, position [E, S] int the places where the observations end. The
        rows are those of E · S observations. The torso needs a method `steps`.
        """
        noise = {"noise_seed": noise_seed} if self.torso.takes_noise else {}
        steps = self._read_steps(sequence, training=training, **noise)  # [E, steps, width]
        step = position // self.torso.tokens_per_step
        features = tf.gather(steps, step, axis=1, batch_dims=1)  # [E, S, width]
        features = tf.reshape(features, (-1, self.torso.width))
        return self._heads(features, noise_seed, training)

    def _heads(
        self,
        features: tf.Tensor,
        noise_seed: tf.Tensor | None,
        training: bool,
        candidates: Candidates | None = None,
    ) -> Forward:
        # Not `self.head(...)`: Keras would put one more operation before the streams, and gradients
        # that meet there would be added in another order.
        outputs = _call(self.head, features, candidates, noise_seed=noise_seed, training=training)
        behaviour = None
        if self.behaviour is not None:
            behaviour = _call(self.behaviour, features, candidates, training=training)
        is_there = None if candidates is None else candidates.is_there
        return Forward(features, outputs, behaviour, is_there)

    def greedy_action(
        self, q_values: tf.Tensor, behaviour: tf.Tensor | None, mask: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return the actions [B] int64, counted from 0, that the policy takes.

        It is the legal and supported action of the largest Q-value or, with `config.q_weight`, of
        the largest log π(a|s) + q_weight · Q(s, a), π being the behaviour head's policy (Snell et
        al. 2023, ILQL). q_values and behaviour are those of a forward pass, mask [B, A] bool.
        """
        scores = q_values
        if self.q_weight:
            # the logarithm of the sum is the same for all actions
            scores = behaviour + self.q_weight * q_values
        return losses.greedy(scores, self.supported(behaviour, mask))

    def supported(
        self, behaviour: tf.Tensor | None, mask: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """Return which of the legal actions the data support, [B, A] bool: those to choose from.

        `behaviour` are the logits of a forward pass, `mask` [B, A] bool the legal actions. Without
        `config.support` it is the mask as it is, None where all actions are legal.
        """
        if not self.support:
            return mask
        return losses.supported(behaviour, self.support, mask)

    def _features(self, observation: tf.Tensor, **options: Any) -> tf.Tensor:
        return self.torso(self.torso.encode(observation), **options)

    def _features_of_steps(self, sequence: tf.Tensor, **options: Any) -> tf.Tensor:
        return self.torso.steps(self.torso.encode(sequence), **options)

    def plan(self) -> ForwardPlan | None:
        """Describe the forward pass as plain data; None if it has no NumPy twin.

        Neither a torso without a twin has one, nor several stacked agents, nor choices as texts.
        """
        if self.num_agents > 1 or isinstance(self.head, ChoiceHead):
            return None
        places = {}
        stop = 0
        for variable in self._float_variables():
            start = stop
            stop += int(np.prod(variable.shape))
            places[id(variable)] = Place(start, stop, tuple(variable.shape))
        torso = self.torso.plan(places)
        if torso is None:
            return None
        behaviour: tuple[PlannedLayer, ...] = ()
        if self.behaviour is not None:
            (behaviour,) = self.behaviour.plan(places)
        return ForwardPlan(
            self.torso.encoding,
            torso,
            self.head.plan(places),
            self.values.reading,
            stop,
            behaviour,
            self.support,
            self.q_weight,
        )

    def assign_weights(self, arrays: Sequence[np.ndarray]) -> None:
        """Set the variables to those of `variables` or of `get_weights`.

        The second has no states of random generators, as dropout layers have, and leaves them.
        """
        variables = self.variables
        if len(arrays) < len(variables):
            variables = self.weights
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    def flat_weights(self) -> np.ndarray:
        """Return the float32 weights one after another, [P]: a copy."""
        arrays = [variable.numpy().reshape(-1) for variable in self._float_variables()]
        return np.concatenate(arrays)

    def flat_weights_tensor(self) -> tf.Tensor:
        """Return `flat_weights` inside a graph."""
        tensors = [tf.reshape(variable, [-1]) for variable in self._float_variables()]
        return tf.concat(tensors, axis=0)

    def _float_variables(self) -> list[tf.Variable]:
        return [
            variable for variable in self.variables if tf.as_dtype(variable.dtype) == tf.float32
        ]

    def _require_width(self, features: tf.Tensor) -> None:
        if features.shape[-1] != self.torso.width:
            raise UserError(
                f"The torso {type(self.torso).__name__} says that its width is"
                f" {self.torso.width}, and returns {list(features.shape)}."
            )


def _call(head: Any, features: tf.Tensor, candidates: Candidates | None, **options: Any) -> Any:
    """Return the outputs of a head of numbered actions, or of choices told as texts."""
    read = (features,) if candidates is None else (features, candidates)
    return head.call(*read, **options)


def draw_seeds(generator: np.random.Generator) -> Iterator[int]:
    """Yield seeds of initial weights without end."""
    while True:
        yield int(generator.integers(2**31))
