"""Loss and gradient of dqn_tf beside those of TF-Agents, on the same weights and the same
experience.

    TF_USE_LEGACY_KERAS=1 python -m benchmarks.parity

Prints a table; exit status 1 if any relative difference is above TOLERANCE. What is compared is
what each library's own training step hands its optimizer. Online and target networks differ, and
among the rows are terminations, truncations and TD errors on both sides of Huber's bend. dqn_tf's
batch comes out of its own n-step accumulator, TF-Agents' out of a Trajectory of the same steps.
"""

import sys
from typing import Any, NamedTuple

import numpy as np

from dqn_tf import interop
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.transitions import NStep, Steps
from dqn_tf.support import command_line, tensorflow_loading

TOLERANCE = 1e-5
BATCH, GAMMA, SEED = 64, 0.97, 0
SETTINGS = {
    "seed": SEED,
    "hidden_units": (32, 16),
    "gamma": GAMMA,
    "tau": 0.0,
    "max_gradient_norm": 0.0,
}
FIRST, MID, LAST = 0, 1, 2


class Case(NamedTuple):
    """One of TF-Agents' agents, and what makes dqn_tf the same algorithm."""

    agent: str
    settings: dict[str, Any]
    masked: bool = False

    def __str__(self) -> str:
        named = [
            f"{name}={value}"
            for name, value in self.settings.items()
            if name not in ("double", "distribution")
        ]
        return ", ".join([self.agent, *named, *["masked"] * self.masked])


CASES = [
    Case(agent, {"double": agent == "DdqnAgent", "loss": loss, "n_step": n_step}, masked)
    for agent in ("DqnAgent", "DdqnAgent")
    for loss, n_step, masked in (
        ("huber", 1, False),
        ("mse", 1, False),
        ("huber", 3, False),
        ("mse", 3, False),
        ("huber", 1, True),
    )
]
CASES += [
    Case("CategoricalDqnAgent", {"distribution": "c51", "n_step": n_step}) for n_step in (1, 3)
]


class Answer(NamedTuple):
    """The loss, and its gradient by each variable of the online network."""

    loss: float
    gradients: list[np.ndarray]


class Compared(NamedTuple):
    """Both losses, and the largest differences:

    of the loss relative to it, of each gradient relative to its largest number.
    """

    here: float
    there: float
    loss: float
    gradient: float


def compare(case: Case) -> Compared:
    """Both libraries' answers to the same question. Raises UserError where TF-Agents cannot run."""
    interop.load_tf_agents()
    config, spaces = (
        DQNConfig(**SETTINGS | case.settings),
        Spaces((5,), "float32", 4, masked=case.masked),
    )
    steps = made_up_steps(config.n_step, spaces)
    agent, here = ours(config, spaces, steps)
    there = theirs(
        case, config, spaces, steps, agent.online.get_weights(), agent.target.get_weights()
    )
    gradient = max(
        np.abs(one - other).max() / np.abs(other).max()
        for one, other in zip(here.gradients, there.gradients, strict=True)
    )
    return Compared(
        here.loss, there.loss, abs(here.loss - there.loss) / abs(there.loss), float(gradient)
    )


def made_up_steps(length: int, spaces: Spaces) -> Steps:
    """`length` steps of BATCH environments.

    A quarter terminates at one of them, a quarter is truncated at the last.
    """
    generator, steps = np.random.default_rng(SEED), Steps.empty(length, BATCH, spaces)
    for column in (steps.observation, steps.next_observation, steps.reward):
        column[:] = generator.normal(scale=2.0, size=column.shape)
    steps.action[:] = generator.integers(spaces.actions, size=steps.action.shape)
    for mask in (steps.action_mask, steps.next_action_mask):
        mask[:] = generator.random(mask.shape) < 0.5
        mask[..., -1:] = True
    numbers = np.arange(BATCH)
    steps.terminated[numbers // 4 % length, numbers] = numbers % 4 == 1
    steps.truncated[-1] = numbers % 4 == 2
    return steps


def ours(config: DQNConfig, spaces: Spaces, steps: Steps):
    """dqn_tf's agent, and its answer."""
    import tensorflow as tf

    from dqn_tf.agent.dqn import DQN

    agent, optimizer, generator = DQN(config, spaces), make_recorder(), np.random.default_rng(SEED)
    agent.target.set_weights(
        [generator.normal(scale=0.3, size=array.shape) for array in agent.target.get_weights()]
    )
    agent.compile(optimizer)
    windows = NStep(config.n_step, config.gamma, BATCH, spaces).add(steps)
    # the windows that begin at the first step come first
    batch = {name: tf.constant(column[:BATCH]) for name, column in windows.items()}
    return agent, Answer(agent.update(batch)["loss"].numpy().item(), optimizer.recorded)


def theirs(
    case: Case,
    config: DQNConfig,
    spaces: Spaces,
    steps: Steps,
    online: list[np.ndarray],
    target: list[np.ndarray],
) -> Answer:
    """TF-Agents' answer, with these weights."""
    import tensorflow as tf
    from tf_agents.agents.categorical_dqn.categorical_dqn_agent import CategoricalDqnAgent
    from tf_agents.agents.dqn import dqn_agent
    from tf_agents.networks.categorical_q_network import CategoricalQNetwork
    from tf_agents.networks.q_network import QNetwork
    from tf_agents.specs.tensor_spec import BoundedTensorSpec
    from tf_agents.trajectories import time_step
    from tf_agents.utils import common

    from dqn_tf.interop.tf_agents import split

    observation, action = (
        tf.TensorSpec(spaces.observation_shape),
        BoundedTensorSpec((), tf.int64, 0, spaces.actions - 1),
    )
    categorical = case.agent == "CategoricalDqnAgent"

    def network(weights: list[np.ndarray]) -> QNetwork | CategoricalQNetwork:
        made = (
            CategoricalQNetwork(
                observation, action, num_atoms=config.atoms, fc_layer_params=config.hidden_units
            )
            if categorical
            else QNetwork(observation, action, fc_layer_params=config.hidden_units)
        )
        made.create_variables()
        made.set_weights(weights)
        return made

    optimizer = make_recorder()
    seen = (
        {"observation": observation, "action_mask": tf.TensorSpec((spaces.actions,), tf.bool)}
        if spaces.masked
        else observation
    )
    common_settings = {
        "optimizer": optimizer,
        "gamma": config.gamma,
        "n_step_update": config.n_step,
        "target_update_tau": 0.0,
        "observation_and_action_constraint_splitter": split if spaces.masked else None,
    }
    if categorical:
        agent = CategoricalDqnAgent(
            time_step.time_step_spec(seen),
            action,
            network(online),
            target_categorical_q_network=network(target),
            min_q_value=config.v_min,
            max_q_value=config.v_max,
            **common_settings,
        )
    else:
        loss = {"huber": common.element_wise_huber_loss, "mse": common.element_wise_squared_loss}[
            config.loss
        ]
        agent = getattr(dqn_agent, case.agent)(
            time_step.time_step_spec(seen),
            action,
            network(online),
            target_q_network=network(target),
            td_errors_loss_fn=loss,
            **common_settings,
        )
    return Answer(float(agent.train(make_trajectory(steps, spaces)).loss), optimizer.recorded)


def make_trajectory(steps: Steps, spaces: Spaces):
    """The steps as TF-Agents' Trajectory, [B, T + 1]: the last frame holds an observation only."""
    import tensorflow as tf
    from tf_agents.trajectories.trajectory import Trajectory

    def frames(column: np.ndarray, last: np.ndarray) -> tf.Tensor:
        return tf.constant(np.moveaxis(np.concatenate([column, last[np.newaxis]]), 0, 1))

    ended, nothing = steps.ended, np.zeros(BATCH)
    step_type = np.full((len(ended) + 1, BATCH), MID, np.int32)
    step_type[1:][ended] = LAST
    next_step_type = np.where(ended, LAST, MID).astype(np.int32)
    next_step_type[1:][ended[:-1]] = FIRST
    observation = frames(steps.observation, steps.next_observation[-1])
    if spaces.masked:
        observation = {
            "observation": observation,
            "action_mask": frames(steps.action_mask, steps.next_action_mask[-1]),
        }
    discount = np.where(steps.terminated, 0.0, 1.0).astype(np.float32)
    return Trajectory(
        tf.constant(step_type.T),
        observation,
        frames(steps.action, nothing.astype(np.int64)),
        (),
        frames(next_step_type, nothing.astype(np.int32)),
        frames(steps.reward, nothing.astype(np.float32)),
        frames(discount, nothing.astype(np.float32) + 1),
    )


def make_recorder():
    """An optimizer that keeps the gradients it is given, in `recorded`, and moves nothing."""
    import tensorflow as tf

    class Recorder(tf.keras.optimizers.SGD):
        """What a training step would have done."""

        def apply_gradients(self, grads_and_vars, *_, **__) -> None:
            self.recorded = [gradient.numpy() for gradient, _ in grads_and_vars]

    return Recorder()


def main(_) -> None:
    """Print the table."""
    tensorflow_loading.load_tensorflow()
    interop.load_tf_agents()
    width = max(len(str(case)) for case in CASES)
    print(
        f"{'agent':{width}}  {'loss here':>10}  {'loss there':>10}  {'difference':>10} "
        f" {'of gradients':>12}"
    )
    worst = 0.0
    for case in CASES:
        here, there, loss, gradient = compare(case)
        worst = max(worst, loss, gradient)
        print(f"{case!s:{width}}  {here:10.6f}  {there:10.6f}  {loss:10.1e}  {gradient:12.1e}")
    print(f"Largest relative difference {worst:.1e}; allowed is {TOLERANCE:.0e}.")
    sys.exit(int(not worst <= TOLERANCE))


if __name__ == "__main__":
    command_line.run(main, lambda argv: command_line.parse(argv, lambda _: __doc__))
