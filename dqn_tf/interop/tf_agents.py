"""A Gymnasium environment as TF-Agents' PyEnvironment, and an export as its TFPolicy.

    environment = GymnasiumEnvironment("CartPole-v1", seed=1)
    policy = ExportedTFPolicy("saved_models/CartPole-v1")
    DynamicEpisodeDriver(TFPyEnvironment(environment), policy, ...)
    PyDriver(environment, PyTFEagerPolicy(policy), ...)

On TF-Agents' side actions are counted from 0, as its agents demand. The environment adds
`Discrete.start`, and the policy subtracts it. An environment with action masks, and a model made
for one, has observations {"observation", "action_mask"}; `split` takes them apart.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf import interop
from dqn_tf.config import seeding
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv, close_all
from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.actions import require_actions
from dqn_tf.evaluation.exported_policy import load_policy

interop.load_tf_agents()

from tensorflow_probability import distributions  # noqa: E402
from tf_agents.environments.py_environment import PyEnvironment  # noqa: E402
from tf_agents.policies.tf_policy import TFPolicy  # noqa: E402
from tf_agents.specs import ArraySpec, BoundedArraySpec, tensor_spec  # noqa: E402
from tf_agents.trajectories import policy_step, time_step  # noqa: E402
from tf_agents.typing import types  # noqa: E402


class GymnasiumEnvironment(PyEnvironment):
    """A Gymnasium environment; the step after an episode's last one starts the next episode.

    A termination is a LAST step of discount 0, a truncation a LAST step of discount 1. Each episode
    is reset with a seed of its own. They are the seeds of the first environment of `train.py
    --seed`. Raises UserError if the environment cannot be used, raises, or returns what its own
    spaces do not allow.
    """

    def __init__(self, env: str | gym.Env, seed: int) -> None:
        super().__init__(handle_auto_reset=True)
        if isinstance(env, str):
            env = registry.make_env(env)
        self._env = CheckedEnv(env, "The environment")
        self.seed(seed)
        self._env.reset(self._next_seed())  # only a reset tells whether the environment gives masks
        self._masked = bool(self._env.is_masked)
        self.seed(seed)

    def observation_spec(self) -> types.NestedArraySpec:
        """Return the space's shape, type and bounds; with masks a dict with action_mask."""
        spaces = self._env.spaces
        space: Any = self._env.env.observation_space
        observation = _observation_spec(space["observation"] if spaces.masked else space, spaces)
        return _with_mask(observation, spaces.actions) if self._masked else observation

    def action_spec(self) -> BoundedArraySpec:
        """Return the spec of one int64, counted from 0."""
        return _action_spec(self._env.spaces)

    def seed(self, seed: int) -> None:
        """Make the episodes from the next reset on those of this seed."""
        self._seed = seed
        self._episode = 0

    def close(self) -> None:
        """Close the Gymnasium environment."""
        close_all([self._env])

    def _next_seed(self) -> int:
        self._episode += 1
        return seeding.episode_seed(self._seed, seeding.TRAINING, 0, self._episode)

    def _reset(self) -> time_step.TimeStep:
        return time_step.restart(self._to_observation(self._env.reset(self._next_seed())))

    def _step(self, action: types.NestedArray) -> time_step.TimeStep:
        spaces = self._env.spaces
        numbered = np.asarray(action).reshape(-1) + spaces.action_start
        (action,) = require_actions(numbered, 1, spaces, "The driver").tolist()
        next_observation, raw_reward, terminated, truncated = self._env.step(action)
        observation = self._to_observation(next_observation)
        reward = np.float32(raw_reward)
        if terminated:
            return time_step.termination(observation, reward)
        make = time_step.truncation if truncated else time_step.transition
        return make(observation, reward, discount=np.float32(1.0))

    def _to_observation(self, observation: np.ndarray) -> types.NestedArray:
        if not self._masked:
            return observation
        return {"observation": observation, "action_mask": self._env.mask}


class ExportedTFPolicy(TFPolicy):
    """The greedy policy of an export inside the graph, for whatever takes a TFPolicy.

    `model` is what `evaluate.py --model` takes. Raises UserError if it is broken or has no
    manifest.
    """

    def __init__(self, model: str) -> None:
        self._policy = load_policy(model)
        self._spaces = self._policy.spaces
        observation: Any = ArraySpec(
            self._spaces.observation_shape, np.dtype(self._spaces.observation_dtype)
        )
        if self._spaces.masked:
            observation = _with_mask(observation, self._spaces.actions)
        super().__init__(
            tensor_spec.from_spec(time_step.time_step_spec(observation)),
            tensor_spec.from_spec(_action_spec(self._spaces)),
        )
        # A tf.Module finds its variables in its attributes.
        self._model_variables = list(self._policy.loaded.network_variables)

    def _distribution(
        self, step: time_step.TimeStep, policy_state: types.NestedTensor
    ) -> policy_step.PolicyStep:
        if self._spaces.masked:
            observation, mask = split(step.observation)
            outputs = self._policy.serve_masked(observation=observation, action_mask=mask)
        else:
            outputs = self._policy.serve(observation=step.observation)
        action = outputs["action"] - self._spaces.action_start
        return policy_step.PolicyStep(distributions.Deterministic(action), policy_state, ())


def split(observation: dict[str, Any]) -> tuple[Any, Any]:
    """Split an observation with a mask into the observation proper and the mask.

    This is TF-Agents' `observation_and_action_constraint_splitter`.
    """
    return observation["observation"], observation["action_mask"]


def _observation_spec(space: Any, spaces: Spaces) -> ArraySpec:
    """Return the spec of a Box or a Discrete space; that of bools has no bounds."""
    dtype = np.dtype(spaces.observation_dtype)
    if dtype.kind == "b":
        return ArraySpec(spaces.observation_shape, dtype, name="observation")
    if spaces.categories:
        low = spaces.category_start
        high = spaces.category_start + spaces.categories - 1
    else:
        low = space.low.astype(dtype)
        high = space.high.astype(dtype)
    return BoundedArraySpec(spaces.observation_shape, dtype, low, high, name="observation")


def _with_mask(observation: ArraySpec, actions: int) -> dict[str, ArraySpec]:
    mask = ArraySpec((actions,), np.dtype(bool), name="action_mask")
    return {"observation": observation, "action_mask": mask}


def _action_spec(spaces: Spaces) -> BoundedArraySpec:
    return BoundedArraySpec((), np.dtype("int64"), 0, spaces.actions - 1, name="action")
