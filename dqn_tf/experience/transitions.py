"""From environment steps to transitions.

Where terminated/truncated becomes `discount`; in the graph engine, graph_transitions does.
"""

import dataclasses

import numpy as np

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError


@dataclasses.dataclass
class Steps:
    """T steps of N environments, as they happened. `next_...` is true also where an episode ended:
    nothing of a reset is in it.

    Shapes: observation and next_observation [T, N, *shape], action [T, N] int64, reward [T, N]
    float32, terminated and truncated [T, N] bool; where the environment has action masks,
    action_mask and next_action_mask [T, N, A] bool, else [T, N, 0].
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observation: np.ndarray
    action_mask: np.ndarray
    next_action_mask: np.ndarray

    @classmethod
    def empty(cls, length: int, num_envs: int, spaces: Spaces) -> "Steps":
        """Room for `length` steps of `num_envs` environments."""
        size, masks = (length, num_envs), spaces.actions if spaces.masked else 0
        observation = [
            np.zeros((*size, *spaces.observation_shape), spaces.observation_dtype) for _ in range(2)
        ]
        mask = [np.zeros((*size, masks), bool) for _ in range(2)]
        return cls(
            observation[0],
            np.zeros(size, np.int64),
            np.zeros(size, np.float32),
            np.zeros(size, bool),
            np.zeros(size, bool),
            observation[1],
            *mask,
        )

    @property
    def ended(self) -> np.ndarray:
        """Where an episode ended, [T, N] bool."""
        return self.terminated | self.truncated

    def part(self, rows: slice) -> "Steps":
        """Some of the T steps, as views."""
        return Steps(**{name: column[rows] for name, column in vars(self).items()})

    def followed_by(self, later: "Steps") -> "Steps":
        """These steps and then those, as copies."""
        return Steps(
            **{
                name: np.concatenate([column, getattr(later, name)])
                for name, column in vars(self).items()
            }
        )

    def require_finite(self, env_step: int) -> None:
        """Raises UserError naming the first environment step whose observation or reward is NaN or
        infinite.

        `env_step` is the number of environment steps before the first of these.
        """
        found = []
        # in the order in which a step brings them
        for name in ("observation", "next_observation", "reward"):
            values = getattr(self, name)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                t, env, *index = np.argwhere(~np.isfinite(values))[0].tolist()
                found.append((t * values.shape[1] + env, name, index, values[(t, env, *index)]))
        if found:
            step, name, index, value = min(found, key=lambda entry: entry[0])
            where = f" at index {index}" if index else ""
            what = "a reward" if name == "reward" else "an observation"
            # A step's own observation is only to blame after a reset: else it was the step before's
            # next_observation.
            when = (
                "at the reset before environment step"
                if name == "observation"
                else "in environment step"
            )
            raise UserError(
                f"The environment returned {what} of {value}{where} {when} {env_step + step + 1}:"
                " it must be finite. Nothing of it was learned."
            )


class NStep:
    """Turns steps into transitions over n of them (Sutton 1988; Hessel et al. 2018), keeping
    unfinished windows for the next block.

    A window ends after n steps or where its episode ends, whichever is first, and never crosses
    that border. Its row holds

        reward            Σ_k gamma^k r_{t+k} over its k steps
        discount          gamma^k, or 0 where its last step terminated: what the bootstrap is multiplied with
        next_observation  the true one after its last step

    Truncation is the experimenter's clock and not an event of the environment, so it keeps the
    discount (Pardo et al. 2018, equation 6). Both at once is a termination. With n = 1 this is one
    row per step.
    """

    def __init__(self, n_step: int, gamma: float, num_envs: int, spaces: Spaces) -> None:
        self._n, self._gamma, self._masked = n_step, gamma, spaces.masked
        self._kept = Steps.empty(0, num_envs, spaces)  # at most the last n - 1 steps
        self._done = np.zeros((0, num_envs), bool)  # those of them whose row has been given

    def add(self, steps: Steps) -> dict[str, np.ndarray]:
        """The rows whose windows are finished by `steps` [T, N], in the order of time: columns
        [rows, ...].

        observation, action int32, reward float32, discount float32, next_observation; with masks,
        action_mask and next_action_mask.
        """
        steps = self._kept.followed_by(steps) if self._n > 1 else steps
        length, envs = steps.action.shape
        reward, discount = np.zeros((length, envs)), np.zeros((length, envs))
        last, going_on = np.zeros((length, envs), np.int64), np.ones((length, envs), bool)
        for k in range(min(self._n, length)):
            window = going_on[: length - k]
            reward[: length - k] += np.where(window, self._gamma**k * steps.reward[k:], 0.0)
            discount[: length - k] = np.where(
                window, self._gamma ** (k + 1), discount[: length - k]
            )
            last[: length - k] = np.where(
                window, np.arange(k, length)[:, np.newaxis], last[: length - k]
            )
            going_on[: length - k] = window & ~steps.ended[k:]
        finished = ~going_on | (np.arange(length) <= length - self._n)[:, np.newaxis]
        done = np.concatenate([self._done, np.zeros((length - len(self._done), envs), bool)])
        start, env = np.nonzero(finished & ~done)
        end = last[start, env]
        kept = slice(max(0, length - self._n + 1), length)
        if self._n > 1:
            self._kept, self._done = steps.part(kept), (done | finished)[kept]
        rows = {
            "observation": steps.observation[start, env],
            "action": steps.action[start, env].astype(np.int32),
            "reward": reward[start, env].astype(np.float32),
            "discount": (
                np.where(steps.terminated[end, env], 0.0, discount[start, env]).astype(np.float32)
            ),
            "next_observation": steps.next_observation[end, env],
        }
        if self._masked:
            rows |= {
                "action_mask": steps.action_mask[start, env],
                "next_action_mask": steps.next_action_mask[end, env],
            }
        return rows

    def state(self) -> dict[str, np.ndarray]:
        """The unfinished windows, for a checkpoint."""
        return {"done": self._done} | vars(self._kept)

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over what `state` gave."""
        self._done = state["done"]
        self._kept = Steps(**{name: state[name] for name in vars(self._kept)})


def columns(spaces: Spaces) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of one row of each column that `NStep` gives."""
    observation = (spaces.observation_shape, spaces.observation_dtype)
    masks = ("action_mask", "next_action_mask") if spaces.masked else ()
    return {
        "observation": observation,
        "action": ((), "int32"),
        "reward": ((), "float32"),
        "discount": ((), "float32"),
        "next_observation": observation,
    } | dict.fromkeys(masks, ((spaces.actions,), "bool"))
