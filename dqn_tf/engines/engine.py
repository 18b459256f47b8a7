"""What both engines share: the counts of a run, and what one block of it brings."""

import abc
import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_actor
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.experience import exploration
from dqn_tf.support.errors import UserError


class Episode(NamedTuple):
    """One finished episode of training."""

    env_step: int
    episode_return: float
    episode_length: int


@dataclasses.dataclass
class Block:
    """What one block brought:

    finished episodes, and the mean metrics of its updates (none in warm-up).
    """

    episodes: list[Episode]
    metrics: dict[str, float]


class Engine(abc.ABC):
    """Takes environment steps and does the updates that are due for them, a block at a time.

    `replay` is the engine's own.
    """

    def __init__(
        self, config: DQNConfig, agent: DQN, generators: dict[str, np.random.Generator]
    ) -> None:
        self.config, self.agent, self.generators = config, agent, generators
        self.actor = make_actor(agent)
        self.env_step, self.updates, self.episodes = 0, 0, 0
        self.learning_starts = config.warmup_env_steps
        # environment steps taken since learning started and not yet paid for with an update
        self.unlearned = 0.0
        self.running_return = np.zeros(config.num_envs)
        self.running_length = np.zeros(config.num_envs, np.int64)

    @abc.abstractmethod
    def run_block(self) -> Block:
        """Steps and updates. Raises UserError if learning breaks."""

    def settle(self) -> None:
        """Makes `agent` all that the engine has learned, where it learns elsewhere."""

    def epsilon(self, env_step: int | np.ndarray) -> np.ndarray:
        """Exploration rate at an environment step."""
        return exploration.epsilon(self.config, np.asarray(env_step))

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that moves, as JSON values and as arrays:

        what `restore` needs to go on as if never stopped.
        """
        values = {
            "env_step": self.env_step,
            "updates": self.updates,
            "episodes": self.episodes,
            "learning_starts": self.learning_starts,
            "unlearned": self.unlearned,
            "generators": {
                name: generator.bit_generator.state for name, generator in self.generators.items()
            },
        }
        return (
            values,
            {"running/return": self.running_return, "running/length": self.running_length}
            | self.agent.arrays(),
        )

    def restore(
        self,
        values: dict[str, Any],
        arrays: dict[str, np.ndarray],
        rows: dict[str, np.ndarray] | None,
    ) -> list[int]:
        """Takes over what `state` gave and the replay's rows; returns the environments that did not
        repeat their episode.

        With `rows` None the replay starts empty, and learning waits until the warm-up's number of
        steps is collected anew.
        """
        self.env_step, self.updates, self.episodes = (
            values["env_step"],
            values["updates"],
            values["episodes"],
        )
        self.learning_starts = values["learning_starts"]
        # What another --env_steps_per_update leaves over; a whole one but for rounding, as 1.0 %
        # 0.1 is, would be paid for twice.
        price = self.config.env_steps_per_update
        self.unlearned = max(
            0.0, values["unlearned"] - int(values["unlearned"] / price + 1e-6) * price
        )
        if rows is None:
            self.learning_starts, self.unlearned = self.env_step + self.config.warmup_env_steps, 0.0
        for name, state in values["generators"].items():
            self.generators[name].bit_generator.state = state
        self.running_return[:], self.running_length[:] = (
            arrays["running/return"],
            arrays["running/length"],
        )
        self.agent.load_arrays(arrays)
        return []

    def close(self) -> None:
        """Closes what the engine opened."""

    def _steps_left(self) -> int:
        """Steps of all environments together that the next block takes:

        the last block may be shorter.
        """
        return min(
            self.config.block_steps,
            math.ceil((self.config.total_steps - self.env_step) / self.config.num_envs),
        )

    def _updates_due(self, env_steps: int) -> int:
        """Updates that the newest `env_steps` steps, and what was left over before them, pay for."""
        self.unlearned += min(env_steps, max(0, self.env_step - self.learning_starts))
        # Rounded down but for a hair: 3 steps at 0.1 are 30 updates, though 3 // 0.1 is 29.
        count = int(self.unlearned / self.config.env_steps_per_update + 1e-6)
        self.unlearned = max(0.0, self.unlearned - count * self.config.env_steps_per_update)
        return count

    def _require_finite(self, metrics: dict[str, float]) -> None:
        if not all(map(math.isfinite, metrics.values())):
            raise UserError(
                f"Learning broke at environment step {self.env_step}: loss {metrics['loss']},"
                f" largest gradient norm {metrics['gradient_norm']}. Lower --learning_rate or"
                " --max_gradient_norm, or scale the rewards."
            )

    def _finished_episodes(
        self, reward: np.ndarray, ended: np.ndarray, before: int
    ) -> list[Episode]:
        """The episodes that ended within a block of rewards [T, N] and ends [T, N] bool after
        environment step `before`.
        """
        finished = []
        start = np.zeros(reward.shape[1], np.int64)
        for t, index in np.argwhere(ended).tolist():
            episode_return = self.running_return[index] + reward[start[index] : t + 1, index].sum(
                dtype=np.float64
            )
            length = self.running_length[index] + t + 1 - start[index]
            finished.append(
                Episode(before + t * len(start) + index + 1, float(episode_return), int(length))
            )
            self.running_return[index], self.running_length[index], start[index] = 0.0, 0, t + 1
        for index, first in enumerate(start):
            self.running_return[index] += reward[first:, index].sum(dtype=np.float64)
            self.running_length[index] += len(reward) - first
        self.episodes += len(finished)
        return finished
