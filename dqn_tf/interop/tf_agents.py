"""TF-Agents' two ends: a Gymnasium environment as its PyEnvironment, an exported model as its
TFPolicy.

    environment = GymnasiumEnvironment("CartPole-v1", seed=1)
    policy = ExportedTFPolicy("saved_models/CartPole-v1")
    DynamicEpisodeDriver(TFPyEnvironment(environment), policy, ...)
    PyDriver(environment, PyTFEagerPolicy(policy), ...)

On TF-Agents' side actions are counted from 0, as its agents demand; the environment adds
`Discrete.start`, the policy takes it off. An environment with action masks, and a model made for
one, has observations {"observation", "action_mask"}, which `split` takes apart.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf import interop
from dqn_tf.config import seeding
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.exported_policy import load_policy

interop.load_tf_agents()

from tensorflow_probability import (
    distributions,
)
from tf_agents.environments.py_environment import PyEnvironment  # noqa: E402
from tf_agents.policies.tf_policy import TFPolicy  # noqa: E402
from tf_agents.specs import ArraySpec, BoundedArraySpec, tensor_spec  # noqa: E402
from tf_agents.trajectories import policy_step, time_step  # noqa: E402
from tf_agents.typing import types  # noqa: E402


class GymnasiumEnvironment(PyEnvironment):
    """One Gymnasium environment; a step after an episode's last starts the next one.

    A termination is a LAST step of discount 0, a truncation a LAST step of discount 1. Each episode
    is reset with a seed of its own, and they are those of the first environment of `train.py
    --seed`. Raises UserError if the environment cannot be used, raises, or returns what its own
    spaces do not allow.
    """

    def __init__(self, env: str | gym.Env, seed: int) -> None:
        super().__init__(handle_auto_reset=True)
        self._env = CheckedEnv(
            registry.make_env(env) if isinstance(env, str) else env, "The environment"
        )
        self.seed(seed)
        self._env.reset(self._next_seed())  # only a reset tells whether the environment gives masks
        self._masked = self._env.mask is not None
        self.seed(seed)

    def observation_spec(self) -> types.NestedArraySpec:
        """The space's shape, type and bounds, with masks a dict of observation and action_mask."""
        spaces, space = self._env.spaces, self._env.env.observation_space
        observation = _bounded(space["observation"] if spaces.masked else space, spaces)
        return _with_mask(observation, spaces.actions) if self._masked else observation

    def action_spec(self) -> BoundedArraySpec:
        """One int64, counted from 0."""
        return _action_spec(self._env.spaces)

    def seed(self, seed: int) -> None:
        """The episodes from the next reset on are those of this seed."""
        self._seed, self._episode = seed, 0

    def close(self) -> None:
        """Closes the Gymnasium environment."""
        self._env.env.close()

    def _next_seed(self) -> int:
        self._episode += 1
        return seeding.episode_seed(self._seed, seeding.TRAINING, 0, self._episode)

    def _reset(self) -> time_step.TimeStep:
        return time_step.restart(self._observed(self._env.reset(self._next_seed())))

    def _step(self, action: types.NestedArray) -> time_step.TimeStep:
        observation, reward, terminated, truncated = self._env.step(
            int(action) + self._env.spaces.action_start
        )
        observation, reward = self._observed(observation), np.float32(reward)
        if terminated:
            return time_step.termination(observation, reward)
        make = time_step.truncation if truncated else time_step.transition
        return make(observation, reward, discount=np.float32(1.0))

    def _observed(self, observation: np.ndarray) -> types.NestedArray:
        # an environment may write its next one into the same array
        observation = observation.copy()
        return (
            {"observation": observation, "action_mask": self._env.mask}
            if self._masked
            else observation
        )


class ExportedTFPolicy(TFPolicy):
    """The greedy policy of a model that dqn_tf exported, inside the graph: for TF-Agents' drivers
    and whatever takes a TFPolicy.

    `model` is what `evaluate.py --model` takes. Raises UserError if it is broken or says nothing of
    its spaces.
    """

    def __init__(self, model: str) -> None:
        self._policy = load_policy(model)
        self._spaces = self._policy.spaces
        observation = ArraySpec(
            self._spaces.observation_shape, np.dtype(self._spaces.observation_dtype)
        )
        if self._spaces.masked:
            observation = _with_mask(observation, self._spaces.actions)
        super().__init__(
            *(
                tensor_spec.from_spec(spec)
                for spec in (time_step.time_step_spec(observation), _action_spec(self._spaces))
            )
        )
        # a tf.Module's variables are found in its attributes
        self._model_variables = list(self._policy.loaded.network_variables)

    def _distribution(
        self, step: time_step.TimeStep, policy_state: types.NestedTensor
    ) -> policy_step.PolicyStep:
        if self._spaces.masked:
            observation, mask = split(step.observation)
            answer = self._policy.serve_masked(observation=observation, action_mask=mask)
        else:
            answer = self._policy.serve(observation=step.observation)
        return policy_step.PolicyStep(
            distributions.Deterministic(answer["action"] - self._spaces.action_start),
            policy_state,
            (),
        )


def split(observation: dict[str, Any]) -> tuple[Any, Any]:
    """TF-Agents' `observation_and_action_constraint_splitter` for environments with masks:

    the observation proper, and the mask.
    """
    return observation["observation"], observation["action_mask"]


def _bounded(space: gym.Space, spaces: Spaces) -> BoundedArraySpec:
    if spaces.categories:
        low, high = spaces.category_start, spaces.category_start + spaces.categories - 1
    else:
        low, high = (bound.astype(spaces.observation_dtype) for bound in (space.low, space.high))
    return BoundedArraySpec(
        spaces.observation_shape, np.dtype(spaces.observation_dtype), low, high, name="observation"
    )


def _with_mask(observation: ArraySpec, actions: int) -> dict[str, ArraySpec]:
    return {
        "observation": observation,
        "action_mask": ArraySpec((actions,), np.dtype(bool), name="action_mask"),
    }


def _action_spec(spaces: Spaces) -> BoundedArraySpec:
    return BoundedArraySpec((), np.dtype("int64"), 0, spaces.actions - 1, name="action")
