"""From environment steps to transitions, where terminated and truncated become `discount`.

`engines.graph.transitions` does the same within the graph engine's program.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.steps import Steps

# the columns of the steps of unfinished windows; a checkpoint holds these
KEPT = (
    "observation",
    "action",
    "reward",
    "terminated",
    "truncated",
    "next_observation",
    "action_mask",
    "next_action_mask",
)


class Windows(NamedTuple):
    """The window that starts at each of T steps of N environments, each [T, N].

    Attributes:
      reward: float64, Σ_k gamma^k r_{t+k} over its steps so far.
      discount: float64, gamma to the power of the number of these steps.
      last: int64, its last step so far.
      finished: bool, whether it has n steps or its episode has ended.
    """

    reward: np.ndarray
    discount: np.ndarray
    last: np.ndarray
    finished: np.ndarray


def windows(reward: np.ndarray, ended: np.ndarray, n_step: int, gamma: float) -> Windows:
    """Sum the rewards [T, N] over windows of n steps, which end early where an episode `ended`."""
    length, num_envs = reward.shape
    sums = np.zeros((length, num_envs))
    discount = np.zeros((length, num_envs))
    last = np.zeros((length, num_envs), np.int64)
    is_open = np.ones((length, num_envs), bool)
    for k in range(min(n_step, length)):
        # The windows that start at t reach step t + k unless their episode ended before.
        starts = slice(length - k)
        steps = slice(k, length)
        reaches = is_open[starts].copy()  # [T - k, N]
        sums[starts] += np.where(reaches, gamma**k * reward[steps], 0.0)
        discount[starts][reaches] = gamma ** (k + 1)
        last[starts] = np.where(reaches, np.arange(k, length)[:, np.newaxis], last[starts])
        is_open[starts] = reaches & ~ended[steps]
    is_full = (np.arange(length) + n_step <= length)[:, np.newaxis]  # [T, 1]
    return Windows(sums, discount, last, ~is_open | is_full)


class NStep:
    """Turns steps into transitions over n of them (Sutton 1988; Hessel et al. 2018).

    A window ends after n steps or where its episode ends, whichever is first, and never crosses
    that border. Unfinished windows are kept for the next block. The row of a window holds

        reward            Σ_k gamma^k r_{t+k} over its k steps
        discount          gamma^k, or 0 where its last step terminated: it multiplies the bootstrap
        next_observation  the true one after its last step

    Truncation is the experimenter's clock and not an event of the environment, so it keeps the
    discount (Pardo et al. 2018, equation 6). Both at once is a termination. With n = 1 this is one
    row per step.
    """

    def __init__(self, n_step: int, gamma: float, num_envs: int, spaces: Spaces) -> None:
        self._n = n_step
        self._gamma = gamma
        self._spaces = spaces
        self._kept = Steps.empty(0, num_envs, spaces)  # at most the last n - 1 steps
        self._done = np.zeros((0, num_envs), bool)  # which of them have given their row

    def add(self, steps: Steps) -> dict[str, np.ndarray]:
        """Return the rows of the windows that `steps` [T, N] finish, in the order of time.

        Columns [rows, ...]: observation, action int32, reward float32, discount float32,
        next_observation; with masks, action_mask and next_action_mask.
        """
        if self._n > 1:
            steps = self._kept.followed_by(steps)
        length, num_envs = steps.action.shape
        reward, discount, last, finished = windows(steps.reward, steps.ended, self._n, self._gamma)
        new = np.zeros((length - len(self._done), num_envs), bool)
        done = np.concatenate([self._done, new])
        start, env = np.nonzero(finished & ~done)  # [rows] each
        end = last[start, env]
        if self._n > 1:
            kept = slice(max(0, length - self._n + 1), length)
            self._kept = steps.part(kept)
            self._done = (done | finished)[kept]
        bootstrap = np.where(steps.terminated[end, env], 0.0, discount[start, env])
        rows = {
            "observation": steps.observation[start, env],
            "action": steps.action[start, env].astype(np.int32),
            "reward": reward[start, env].astype(np.float32),
            "discount": bootstrap.astype(np.float32),
            "next_observation": steps.next_observation[end, env],
        }
        if self._spaces.masked:
            rows["action_mask"] = steps.action_mask[start, env]
            rows["next_action_mask"] = steps.next_action_mask[end, env]
        return rows

    def forget(self, envs: Sequence[int]) -> None:
        """As described in `replay_unit.RowMaker`."""
        self._done[:, envs] = True

    def state(self) -> dict[str, np.ndarray]:
        """Return the unfinished windows, for a checkpoint."""
        return {"done": self._done} | {name: getattr(self._kept, name) for name in KEPT}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self._done = state["done"]
        room = Steps.empty(*self._done.shape, self._spaces)
        self._kept = dataclasses.replace(room, **{name: state[name] for name in KEPT})


def columns(spaces: Spaces) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype of one row of each column that `NStep` gives."""
    observation = (spaces.observation_shape, spaces.observation_dtype)
    masks = ("action_mask", "next_action_mask") if spaces.masked else ()
    return {
        "observation": observation,
        "action": ((), "int32"),
        "reward": ((), "float32"),
        "discount": ((), "float32"),
        "next_observation": observation,
    } | dict.fromkeys(masks, ((spaces.actions,), "bool"))
