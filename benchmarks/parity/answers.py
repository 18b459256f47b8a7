"""What each library's own training step hands its optimizer, for the same steps and weights."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.parity import experience
from benchmarks.parity.experience import NUM_ENVS, SEED
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps
from dqn_tf.experience.transitions import NStep


class Answer(NamedTuple):
    """The loss, and its gradient by each variable of the online network."""

    loss: float
    gradients: list[np.ndarray]


class Weights(NamedTuple):
    """The weights of both networks."""

    online: list[np.ndarray]
    target: list[np.ndarray]


def dqn_tf_answer(config: DQNConfig, spaces: Spaces, steps: Steps) -> tuple[Answer, Weights]:
    """Compute dqn_tf's answer, and return it with the weights of its agent."""
    import tensorflow as tf

    from dqn_tf.agent.dqn import DQN

    agent = DQN(config, spaces)
    generator = np.random.default_rng(SEED)
    agent.target.set_weights(
        [generator.normal(scale=0.3, size=array.shape) for array in agent.target.get_weights()]
    )
    optimizer = make_recorder()
    agent.compile(optimizer)
    windows = NStep(config.n_step, config.gamma, NUM_ENVS, spaces).add(steps)
    # the windows that begin at the first step come first
    batch = {name: tf.constant(column[:NUM_ENVS]) for name, column in windows.items()}
    loss = agent.update(batch)["loss"].numpy().item()
    weights = Weights(agent.online.get_weights(), agent.target.get_weights())
    return Answer(loss, optimizer.recorded), weights


def tf_agents_answer(
    agent_name: str, config: DQNConfig, spaces: Spaces, steps: Steps, weights: Weights
) -> Answer:
    """Compute the answer of TF-Agents' agent with these weights."""
    optimizer = make_recorder()
    agent = _make_agent(agent_name, config, spaces, weights, optimizer)
    trajectory = experience.make_trajectory(steps, spaces)
    return Answer(float(agent.train(trajectory).loss), optimizer.recorded)


def _make_agent(
    agent_name: str, config: DQNConfig, spaces: Spaces, weights: Weights, optimizer: Any
) -> Any:
    import tensorflow as tf
    from tf_agents.agents.categorical_dqn.categorical_dqn_agent import CategoricalDqnAgent
    from tf_agents.agents.dqn import dqn_agent
    from tf_agents.networks.categorical_q_network import CategoricalQNetwork
    from tf_agents.networks.q_network import QNetwork
    from tf_agents.specs.tensor_spec import BoundedTensorSpec
    from tf_agents.trajectories import time_step
    from tf_agents.utils import common

    from dqn_tf.interop.tf_agents import split

    observation = tf.TensorSpec(spaces.observation_shape)
    action = BoundedTensorSpec((), tf.int64, 0, spaces.actions - 1)
    seen = observation
    if spaces.masked:
        mask = tf.TensorSpec((spaces.actions,), tf.bool)
        seen = {"observation": observation, "action_mask": mask}
    settings = {
        "time_step_spec": time_step.time_step_spec(seen),
        "action_spec": action,
        "optimizer": optimizer,
        "gamma": config.gamma,
        "n_step_update": config.n_step,
        "target_update_tau": 0.0,
        "observation_and_action_constraint_splitter": split if spaces.masked else None,
    }
    if agent_name == "CategoricalDqnAgent":

        def categorical() -> Any:
            return CategoricalQNetwork(
                observation, action, num_atoms=config.atoms, fc_layer_params=config.hidden_units
            )

        return CategoricalDqnAgent(
            categorical_q_network=_with_weights(categorical, weights.online),
            target_categorical_q_network=_with_weights(categorical, weights.target),
            min_q_value=config.v_min,
            max_q_value=config.v_max,
            **settings,
        )
    losses = {
        "huber": common.element_wise_huber_loss,
        "mse": common.element_wise_squared_loss,
    }

    def scalar() -> Any:
        return QNetwork(observation, action, fc_layer_params=config.hidden_units)

    return getattr(dqn_agent, agent_name)(
        q_network=_with_weights(scalar, weights.online),
        target_q_network=_with_weights(scalar, weights.target),
        td_errors_loss_fn=losses[config.loss],
        **settings,
    )


def _with_weights(make_network: Callable[[], Any], weights: list[np.ndarray]) -> Any:
    network = make_network()
    network.create_variables()
    network.set_weights(weights)
    return network


def make_recorder() -> Any:
    """Make an optimizer that keeps the gradients that it is given and changes no weight.

    Its `recorded` holds them.
    """
    import tensorflow as tf

    class Recorder(tf.keras.optimizers.SGD):
        """Keeps what a training step would have applied."""

        def apply_gradients(self, grads_and_vars: Any, *_: Any, **__: Any) -> None:
            self.recorded = [gradient.numpy() for gradient, _ in grads_and_vars]

    return Recorder()
