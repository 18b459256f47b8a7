"""`transitions` once more, for a compiled program:

where terminated becomes `discount`, and n-step windows.
"""

import tensorflow as tf

from dqn_tf.envs.spaces import Spaces

Columns = dict[str, tf.Tensor]


class GraphNStep:
    """Turns steps of N environments into transitions over n of them: the rows of
    `transitions.NStep`, one per environment and step.

    A window is given n - 1 steps after its first one, also if its episode ended before, so that
    every step gives N rows. Those of the first n - 1 steps are empty, and not to be used. The
    windows that are under way are `pending`: columns [n - 1, N, ...].
    """

    def __init__(self, n_step: int, gamma: float) -> None:
        self._n, self._gamma = n_step, gamma

    def start(self, envs: int, spaces: Spaces) -> Columns:
        """What is pending before the first step."""
        size, observation = (self._n - 1, envs), tf.dtypes.as_dtype(spaces.observation_dtype)
        numbers = {
            "reward": tf.zeros(size),
            "discount": tf.zeros(size),
            "action": tf.zeros(size, tf.int32),
            "open": tf.zeros(size, tf.bool),
        }
        return numbers | {
            name: tf.zeros((*size, *spaces.observation_shape), observation)
            for name in ("observation", "next_observation")
        }

    def add(
        self,
        pending: Columns,
        observation: tf.Tensor,
        action: tf.Tensor,
        reward: tf.Tensor,
        terminated: tf.Tensor,
        truncated: tf.Tensor,
        next_observation: tf.Tensor,
    ) -> tuple[Columns, Columns]:
        """The rows [N, ...] whose n steps are over with this one, and what is pending then.

        `next_observation` is never a reset's.
        """
        # truncation keeps it (Pardo et al. 2018, equation 6)
        step_discount = tf.where(terminated, 0.0, self._gamma)
        going_on, ended = pending["open"], terminated | truncated
        wide = tf.reshape(going_on, (*going_on.shape, *[1] * (len(next_observation.shape) - 1)))
        windows = {
            "observation": pending["observation"],
            "action": pending["action"],
            "reward": pending["reward"] + tf.where(going_on, pending["discount"] * reward, 0.0),
            "discount": tf.where(
                going_on, pending["discount"] * step_discount, pending["discount"]
            ),
            "next_observation": tf.where(wide, next_observation, pending["next_observation"]),
            "open": going_on & ~ended,
        }
        new = {
            "observation": observation,
            "action": action,
            "reward": reward,
            "discount": step_discount,
            "next_observation": next_observation,
            "open": ~ended,
        }
        every = {
            name: tf.concat([column, new[name][tf.newaxis]], axis=0)
            for name, column in windows.items()
        }
        return {name: column[0] for name, column in every.items() if name != "open"}, {
            name: column[1:] for name, column in every.items()
        }
