"""Environment steps as columns: what every source of experience gives."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError


@dataclasses.dataclass
class Steps:
    """T steps of N environments, as columns [T, N, ...].

    At an episode's end `next_observation` is the true last one, never the reset's.

    Attributes:
      observation, next_observation: [T, N, *shape].
      action: [T, N] int64, counted from 0.
      reward: [T, N] float32, as learning sees it.
      terminated: [T, N] bool, as learning sees it.
      truncated: [T, N] bool.
      action_mask, next_action_mask: [T, N, A] bool, the legal actions; [T, N, 0] without masks.
      env_reward: [T, N] float32, the environment's own reward. The log sums it to returns.
      env_ended: [T, N] bool, whether the environment's own episode ended with the step.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observation: np.ndarray
    action_mask: np.ndarray
    next_action_mask: np.ndarray
    env_reward: np.ndarray
    env_ended: np.ndarray

    @classmethod
    def empty(cls, length: int, num_envs: int, spaces: Spaces) -> "Steps":
        """Make room for `length` steps of `num_envs` environments."""
        size = (length, num_envs)
        observations = (*size, *spaces.observation_shape)
        masks = (*size, spaces.actions if spaces.masked else 0)
        return cls(
            observation=np.zeros(observations, spaces.observation_dtype),
            action=np.zeros(size, np.int64),
            reward=np.zeros(size, np.float32),
            terminated=np.zeros(size, bool),
            truncated=np.zeros(size, bool),
            next_observation=np.zeros(observations, spaces.observation_dtype),
            action_mask=np.zeros(masks, bool),
            next_action_mask=np.zeros(masks, bool),
            env_reward=np.zeros(size, np.float32),
            env_ended=np.zeros(size, bool),
        )

    @property
    def ended(self) -> np.ndarray:
        """Where an episode ended, as learning sees it, [T, N] bool."""
        return self.terminated | self.truncated

    def part(self, rows: slice) -> "Steps":
        """Return some of the T steps, as views."""
        return Steps(**{name: column[rows] for name, column in vars(self).items()})

    def followed_by(self, later: "Steps") -> "Steps":
        """Return these steps and then `later`, as copies."""
        return Steps(
            **{
                name: np.concatenate([column, getattr(later, name)])
                for name, column in vars(self).items()
            }
        )

    def require_shapes(self, length: int, num_envs: int, spaces: Spaces) -> None:
        """Raise ValueError unless all columns have the shapes of so many steps."""
        expected = vars(Steps.empty(length, num_envs, spaces))
        for name, column in vars(self).items():
            if np.shape(column) != expected[name].shape:
                raise ValueError(
                    f"{name} has shape {list(np.shape(column))}, not {list(expected[name].shape)}"
                )

    def require_finite(self, env_step: int) -> None:
        """Raise UserError if an observation or a reward is NaN or infinite.

        It names the first such environment step. `env_step` counts those before these steps.
        """
        faults = []
        # in the order in which a step brings them
        for name in ("observation", "next_observation", "reward"):
            values = getattr(self, name)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                t, env, *index = np.argwhere(~np.isfinite(values))[0].tolist()
                step = t * values.shape[1] + env
                faults.append((step, name, index, values[(t, env, *index)]))
        if not faults:
            return
        step, name, index, value = min(faults, key=lambda fault: fault[0])
        what = "a reward" if name == "reward" else "an observation"
        where = f" at index {index}" if index else ""
        # A step's own observation is at fault only after a reset. Otherwise the step before gave
        # the same value as its next_observation.
        when = "at the reset before" if name == "observation" else "in"
        raise UserError(
            f"The environment returned {what} of {value}{where} {when} environment step"
            f" {env_step + step + 1}: it must be finite. Nothing of it was learned."
        )


def side_by_side(parts: Sequence[Steps]) -> Steps:
    """Return the same steps of several groups of environments, in their order; of one, itself."""
    if len(parts) == 1:
        return parts[0]
    return Steps(
        **{
            name: np.concatenate([getattr(part, name) for part in parts], axis=1)
            for name in vars(parts[0])
        }
    )
