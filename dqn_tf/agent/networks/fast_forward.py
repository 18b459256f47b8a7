"""Q-values for acting: in NumPy where that is cheapest, else by a compiled call."""

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.numpy_forward import NumpyQFunction
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import exploration
from dqn_tf.support.errors import UserError

TOLERANCE = 1e-4  # of rounding, times the largest |Q| of a row or 1
COMPARED = 3  # observations


class CompiledQFunction:
    """Q-values by one compiled call. It reads the agent's variables, so it is always up to date."""

    def __init__(self, agent: DQN) -> None:
        network = agent.online
        self._support = network.support
        self._q_weight = network.q_weight
        acts_by_behaviour = bool(network.support or network.q_weight)

        def outputs(
            observation: tf.Tensor, noise_seed: tf.Tensor | None = None
        ) -> tuple[tf.Tensor, ...]:
            q_values, behaviour = network.q_values_and_behaviour(observation, noise_seed)
            return (q_values, behaviour) if acts_by_behaviour else (q_values,)

        def behaviour(observation: tf.Tensor) -> tf.Tensor:
            return network.q_values_and_behaviour(observation)[1]

        shape = (None, *agent.spaces.observation_shape)
        observation = tf.TensorSpec(shape, agent.spaces.observation_dtype)
        noise_seed = tf.TensorSpec((2,), tf.int32)
        function = tf.function(outputs, autograph=False)
        self._call = function.get_concrete_function(observation)
        self._behaviour_call = None
        if network.behaviour is not None:
            compiled = tf.function(behaviour, autograph=False)
            self._behaviour_call = compiled.get_concrete_function(observation)
        self._noisy_call = None
        if agent.settings.noisy:
            self._noisy_call = function.get_concrete_function(observation, noise_seed)

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Do nothing: there is nothing to refresh."""

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return Q-values [N, A] float32 of observations [N, *shape].

        With a generator, noisy layers draw one noise for all rows from it.
        """
        array: np.ndarray = self._outputs(observation, generator)[0].numpy()
        return array

    def greedy_action(
        self,
        observation: np.ndarray,
        mask: np.ndarray | None = None,
        generator: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Return the best of the legal and supported actions [N] int64, counted from 0.

        `mask` [N, A] bool are the legal ones; the generator is that of `q_values`.
        """
        outputs = self._outputs(observation, generator)
        scores = outputs[0].numpy()
        if len(outputs) > 1:
            behaviour = outputs[1].numpy()
            scores = exploration.preferences(scores, behaviour, self._q_weight)
            if self._support:
                mask = exploration.supported_actions(behaviour, self._support, mask)
        return exploration.greedy_action(scores, mask)

    def behaviour(self, observation: np.ndarray) -> np.ndarray:
        """Return the behaviour head's logits [N, A] float32, where there is such a head."""
        if self._behaviour_call is None:
            raise ValueError("the network has no behaviour head")
        array: np.ndarray = self._behaviour_call(tf.constant(observation)).numpy()
        return array

    def _outputs(
        self, observation: np.ndarray, generator: np.random.Generator | None
    ) -> tuple[tf.Tensor, ...]:
        """Return Q-values [N, A] and, where acting needs them, the behaviour's logits [N, A]."""
        if generator is None or self._noisy_call is None:
            outputs = self._call(tf.constant(observation))
        else:
            noise_seed = tf.constant(generator.integers(2**31, size=2), tf.int32)
            outputs = self._noisy_call(tf.constant(observation), noise_seed)
        return tuple(outputs)


def make_q_function(agent: DQN) -> NumpyQFunction | CompiledQFunction:
    """Return the cheaper of the two for this agent's network and number of environments.

    A torso without a NumPy twin has the compiled call. Raises UserError if a twin does not give the
    network's Q-values.
    """
    network = agent.online
    plan = network.plan()
    if plan is None:
        return CompiledQFunction(agent)
    # Eight images take 0.9 ms in a compiled call and 1.9 in NumPy; one takes 0.46 and 0.28. With a
    # lag NumPy acts in any process.
    settings = agent.settings
    if plan.convolves and network.is_large and settings.num_envs > 1 and not settings.lag:
        return CompiledQFunction(agent)
    q_function = NumpyQFunction(plan, network.flat_weights(), network.flat_weights)
    require_same_q_values(q_function, network, agent.spaces)
    return q_function


def require_same_q_values(q_function: NumpyQFunction, network: QNetwork, spaces: Spaces) -> None:
    """Raise UserError unless both give the same Q-values, up to rounding.

    They are compared on random observations.
    """
    observation = random_observations(spaces, COMPARED)
    expected = network(tf.constant(observation)).numpy()
    difference = np.abs(q_function.q_values(observation) - expected)
    allowed = TOLERANCE * np.maximum(1.0, np.abs(expected).max(axis=1, keepdims=True))
    if not (difference <= allowed).all():
        raise UserError(
            f"The NumPy twin of the torso {type(network.torso).__name__} (its method `plan`) gives"
            f" Q-values that differ from the network's by up to {difference.max():.2g}. Correct it,"
            " or return None to act by a compiled call."
        )


def random_observations(spaces: Spaces, count: int) -> np.ndarray:
    """Return made-up observations [count, *shape], the same at every call."""
    generator = np.random.default_rng(0)
    shape = (count, *spaces.observation_shape)
    if spaces.categories:
        low, high = spaces.category_start, spaces.category_start + spaces.categories
    elif spaces.observation_dtype == "float32":
        return generator.standard_normal(shape, np.float32)
    else:
        low, high = 0, 2 if spaces.observation_dtype == "bool" else 128
    return generator.integers(low, high, shape).astype(spaces.observation_dtype)
