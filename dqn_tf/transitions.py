"""From environment steps to transitions. The only place where terminated/truncated becomes `discount`."""

import dataclasses

import numpy as np

from dqn_tf.errors import UserError


@dataclasses.dataclass
class Steps:
    """T steps of N environments, as they happened. `next_observation` is the true one, also where an episode ended.

    Shapes: observation and next_observation [T, N, *shape], action [T, N] int64, reward [T, N] float32,
    terminated and truncated [T, N] bool.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observation: np.ndarray

    @classmethod
    def empty(cls, length: int, num_envs: int, shape: tuple[int, ...], dtype: str) -> "Steps":
        """Room for `length` steps of `num_envs` environments."""
        size = (length, num_envs)
        return cls(np.zeros((*size, *shape), dtype), np.zeros(size, np.int64), np.zeros(size, np.float32), np.zeros(size, bool),
                   np.zeros(size, bool), np.zeros((*size, *shape), dtype))

    @property
    def ended(self) -> np.ndarray:
        """Where an episode ended, [T, N] bool."""
        return self.terminated | self.truncated

    def require_finite(self, env_step: int) -> None:
        """Raises UserError naming the first environment step whose observation or reward is NaN or infinite.

        `env_step` is the number of environment steps before the first of these.
        """
        found = []
        for name in ("observation", "next_observation", "reward"):  # in the order in which a step brings them
            values = getattr(self, name)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                t, env, *index = np.argwhere(~np.isfinite(values))[0].tolist()
                found.append((t * values.shape[1] + env, name, index, values[(t, env, *index)]))
        if found:
            step, name, index, value = min(found, key=lambda entry: entry[0])
            where = f" at index {index}" if index else ""
            what = "a reward" if name == "reward" else "an observation"
            # A step's own observation is only to blame after a reset: else it was the step before's next_observation.
            when = "at the reset before environment step" if name == "observation" else "in environment step"
            raise UserError(f"The environment returned {what} of {value}{where} {when} {env_step + step + 1}: it must be finite. "
                            "Nothing of it was learned.")


def transitions(steps: Steps, gamma: float) -> dict[str, np.ndarray]:
    """Rows for replay, one per step, in the order of time.

    `discount` is what the bootstrap is multiplied with: gamma, or 0 where the episode terminated. Truncation is
    the experimenter's clock and not an event of the environment, so it keeps gamma and the true last observation
    (Pardo et al. 2018, equation 6). Both at once is a termination.

    Returns columns observation, action int32, reward float32, discount float32, next_observation, each [T*N, ...].
    """
    discount = np.where(steps.terminated, 0.0, gamma)
    columns = {"observation": steps.observation, "action": steps.action.astype(np.int32), "reward": steps.reward,
               "discount": discount.astype(np.float32), "next_observation": steps.next_observation}
    return {name: column.reshape((-1, *column.shape[2:])) for name, column in columns.items()}


def columns(shape: tuple[int, ...], dtype: str) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of one row of each column that `transitions` makes."""
    return {"observation": (shape, dtype), "action": ((), "int32"), "reward": ((), "float32"),
            "discount": ((), "float32"), "next_observation": (shape, dtype)}
