"""Q(reply so far, next token) above a frozen language model.

An observation is the number of a state that the model has read, and the numbers of the tokens that
it takes for the likeliest ones. These are the choices of the token MDP: dqn_tf's head for choices
told as texts gives each its value, a choice being a text of one token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from benchmarks.steering.reading import Reader
from dqn_tf.agent import DQN, Torso
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces

LEAST_DEVIATION = 1e-3
Values = Callable[[np.ndarray], np.ndarray]
NONE = -1  # the token that would stand where there is no choice


class States:
    """What the model says of the texts so far, [room, width]: each is read once and kept.

    Attributes:
      table: the states, one behind the other.
      standard: mean and deviation of each number, [2, width].
      count: how many there are; what is behind them may be overwritten.
    """

    def __init__(self, room: int, width: int) -> None:
        self.table = tf.Variable(tf.zeros((room, width)), trainable=False)
        self.standard = tf.Variable(np.stack([np.zeros(width), np.ones(width)]).astype(np.float32))
        self.count = 0

    def add(self, states: np.ndarray) -> np.ndarray:
        """Keep states [N, width]; return their numbers [N]."""
        numbers: np.ndarray = np.arange(self.count, self.count + len(states), dtype=np.int32)
        self.table.scatter_nd_update(numbers[:, np.newaxis], states.astype(np.float32))
        self.count += len(states)
        return numbers

    def compare_with_these(self) -> None:
        """Let numbers be at a scale of 1 over the states so far."""
        states = self.table[: self.count].numpy()
        self.standard.assign([states.mean(axis=0), states.std(axis=0) + LEAST_DEVIATION])

    def standardised(self, numbers: tf.Tensor) -> tf.Tensor:
        """Return states [B, width] of their numbers [B], at a scale of 1."""
        mean, deviation = tf.unstack(tf.convert_to_tensor(self.standard))
        return (tf.gather(self.table, numbers) - mean) / deviation


class Embedding:
    """The model's own vectors of tokens, each number at a scale of 1 and none of the weights."""

    def __init__(self, table: tf.Tensor) -> None:
        self.output_dim = int(table.shape[1])
        self._table = table
        self._mean = tf.reduce_mean(table, axis=0)
        self._deviation = tf.math.reduce_std(table, axis=0) + 1e-6

    def __call__(self, numbers: tf.Tensor) -> tf.Tensor:
        """Return [..., width] of tokens [...]."""
        return (tf.gather(self._table, numbers) - self._mean) / self._deviation


class ReadStates(Torso):
    """Finds the kept states by their numbers: the layers that learn are those of the head."""

    def __init__(
        self,
        spaces: Spaces,
        config: DQNConfig,
        seeds: Iterator[int],
        states: States,
        embedding: Embedding,
    ) -> None:
        super().__init__(spaces, config, seeds)
        self.states, self.embedding = states, embedding
        self.width = int(states.table.shape[1])

    @property
    def token_embedding(self) -> Embedding:
        """The model's embedding of the choices."""
        return self.embedding

    def encode(self, observation: tf.Tensor) -> tf.Tensor:
        """Return the states [B, width] of their numbers [B, 1]."""
        return self.states.standardised(observation[:, 0])

    def call(self, features: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return them as they are."""
        return features


def make_agent(config: DQNConfig, reader: Reader, states: States, choices: int) -> DQN:
    """Return a compiled DQN whose actions are places among so many likeliest tokens."""
    vocabulary = reader.trunk.shape.vocabulary
    spaces = Spaces(
        observation_shape=(1 + choices,),
        observation_dtype="int32",
        actions=choices,
        categories=vocabulary,
        picture="",
        padding=NONE,
        choices=choices,
        choice_tokens=1,
    )
    embedding = Embedding(tf.convert_to_tensor(reader.trunk.embedding))

    def torso(spaces: Spaces, config: DQNConfig, seeds: Iterator[int]) -> ReadStates:
        return ReadStates(spaces, config, seeds, states, embedding)

    agent = DQN(config, spaces=spaces, torso=torso)
    agent.compile()
    return agent


def compiled(agent: DQN) -> Values:
    """Return the function from observations [B, 1 + k] to Q-values [B, k], in one compiled call."""
    shape = (None, *agent.spaces.observation_shape)
    signature = [tf.TensorSpec(shape, agent.spaces.observation_dtype)]
    function = tf.function(agent.online.call, input_signature=signature, autograph=False)
    return lambda observation: function(tf.constant(observation)).numpy()
