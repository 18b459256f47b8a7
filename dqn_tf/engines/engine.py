"""What both engines share: the counts of a run, and what one block of it brings."""

import abc
import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.experience import exploration
from dqn_tf.experience.collector import Loan
from dqn_tf.experience.q_function import QFunction
from dqn_tf.support.errors import UserError

Arrays = dict[str, np.ndarray]
RUNNING_RETURN = "running/return"  # NaN in environments whose episode was given up


class LearningBroke(UserError):
    """Says that losses or gradients are no numbers any more, which is the settings' fault."""


def against_breaking(config: DQNConfig) -> str:
    """Return what helps against losses and gradients that are no numbers, as a sentence."""
    clipping = "--max_gradient_norm" if config.max_gradient_norm else "set --max_gradient_norm=10"
    return f"Lower --learning_rate or {clipping}, or scale the rewards."


class Episode(NamedTuple):
    """One finished episode of training."""

    env_step: int
    episode_return: float
    episode_length: int


@dataclasses.dataclass
class Block:
    """What one block brought.

    Attributes:
      episodes: those that ended in it.
      metrics: mean metrics of its updates; none in warm-up.
      collect_seconds: wall time of taking and storing its steps; 0 where steps and updates are one
        program.
    """

    episodes: list[Episode]
    metrics: dict[str, float]
    collect_seconds: float = 0.0


class Replay(Protocol):
    """What a run needs to know of an engine's replay."""

    capacity: int

    def __len__(self) -> int:
        """Count the transitions that it holds."""

    def observations(self, most: int) -> np.ndarray:
        """Return at most so many observations, evenly spaced, [n, *shape]."""

    def rows(self) -> Arrays:
        """Return the filled part of each column."""


class Engine(abc.ABC):
    """Takes environment steps and does the updates that are due for them, a block at a time.

    Attributes:
      replay: the transitions that it learns from.
      q_function: Q-values under the agent's weights, once `refresh` was called.
      env_step: environment steps taken.
      logged_updates: gradient steps taken on logged data alone, before the first environment step:
        those that pretrain, then the offline ones.
      updates: gradient steps taken.
      episodes: episodes finished.
      warmup_starts: the environment step after which the warm-up's are counted: 0, or where the
        replay was lost.
      learning_starts: the environment step after which updates are due.
      env_steps_owed: environment steps since then for which no update has been done yet.
    """

    replay: Replay
    q_function: QFunction

    def __init__(
        self, config: DQNConfig, agent: DQN, generators: dict[str, np.random.Generator]
    ) -> None:
        self.config = config
        self.agent = agent
        self.generators = generators
        self.env_step = 0
        self.logged_updates = 0
        self.updates = 0
        self.episodes = 0
        self.warmup_starts = 0
        self.learning_starts = config.warmup_env_steps
        self.env_steps_owed = 0.0
        # of the episodes under way
        self.running_return = np.zeros(config.num_envs)
        self.running_length = np.zeros(config.num_envs, np.int64)

    @property
    def progress(self) -> int:
        """The run's clock: logged updates, then environment steps; `config.length` at its end."""
        return self.logged_updates + self.env_step

    @property
    def is_offline(self) -> bool:
        """Whether the next block learns from logged data alone."""
        return self.env_step == 0 and self.logged_updates < self.config.logged_updates

    @property
    def is_pretraining(self) -> bool:
        """Whether the next block learns the behaviour of logged data, and nothing else."""
        return self.is_offline and self.logged_updates < self.config.pretrain_updates

    @property
    def finished(self) -> bool:
        """Whether the run is at its end."""
        return not self.is_offline and self.env_step >= self.config.total_steps

    def behaviour_metrics(self) -> dict[str, float]:
        """Return how well the behaviour head does on what was held out; nothing without such."""
        return {}

    @abc.abstractmethod
    def run_block(self) -> Block:
        """Take steps and do updates. Raises UserError if learning breaks."""

    @abc.abstractmethod
    def sync_agent(self) -> None:
        """Copy the learned weights into `agent`, where the engine learns elsewhere."""

    @property
    def can_lend(self) -> bool:
        """Whether there are environments that `lend` could lend."""
        return False

    def lend(self) -> contextlib.AbstractContextManager[Loan]:
        """Lend the environments of training for a while; raises UserError where there are none."""
        raise UserError(
            "--evaluation_envs=0 plays evaluations on the training's environments, and"
            f" --engine={self.config.engine} with --collector={self.config.collector} lends none."
            " Leave the flag out."
        )

    def epsilon(self, env_step: int | np.ndarray) -> np.ndarray:
        """Return the exploration rate at an environment step."""
        return exploration.epsilon(self.config, np.asarray(env_step))

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Return everything that moves but the replay's rows, as JSON values and as arrays.

        With these and the rows, `restore` goes on as if never stopped.
        """
        values = {
            "env_step": self.env_step,
            "offline_updates": self.logged_updates,
            "updates": self.updates,
            "episodes": self.episodes,
            "warmup_starts": self.warmup_starts,
            "learning_starts": self.learning_starts,
            "unlearned": self.env_steps_owed,
            "generators": {
                name: generator.bit_generator.state for name, generator in self.generators.items()
            },
        }
        running = {RUNNING_RETURN: self.running_return, "running/length": self.running_length}
        return values, running | self.agent.arrays()

    def restore(
        self, values: dict[str, Any], arrays: Arrays, rows: Mapping[str, np.ndarray] | None
    ) -> list[int]:
        """Take over what `state` returned and the replay's rows.

        Returns the environments that did not repeat their episode. With `rows` None the replay
        starts empty, and learning waits until the warm-up's number of steps is collected anew.
        """
        self.env_step = values["env_step"]
        self.logged_updates = values.get("offline_updates", 0)  # earlier versions had none
        if self.env_step and self.logged_updates < self.config.logged_updates:
            raise UserError(
                f"--offline_updates={self.config.offline_updates}: the run has taken environment"
                f" steps after {self.logged_updates - self.config.pretrain_updates} offline"
                " updates, so no more can come before them. Leave it out."
            )
        if self.logged_updates > self.config.logged_updates:
            raise UserError(
                f"--offline_updates={self.config.offline_updates}: the run has done"
                f" {self.logged_updates - self.config.pretrain_updates} already, which its clock"
                " and its learning rate count. Leave it out."
            )
        self.updates = values["updates"]
        self.episodes = values["episodes"]
        if rows is None:
            self.warmup_starts = self.env_step
            self.learning_starts = self.warmup_starts + self.config.warmup_env_steps
            self.env_steps_owed = 0.0
        else:
            self.learning_starts = values["learning_starts"]
            self.env_steps_owed = self._still_owed(values["unlearned"])
            # earlier versions had none
            self.warmup_starts = values.get("warmup_starts", self.warmup_starts)
            if "warmup_starts" in values and self.env_step <= self.learning_starts:
                self.learning_starts = self.warmup_starts + self.config.warmup_env_steps
        for name, state in values["generators"].items():
            self.generators[name].bit_generator.state = state
        self.running_return[:] = arrays[RUNNING_RETURN]
        self.running_length[:] = arrays["running/length"]
        self.agent.load_arrays(arrays)
        return []

    @abc.abstractmethod
    def close(self) -> None:
        """Close what the engine opened."""

    def steps_left(self, env_step: int | None = None) -> int:
        """Return the steps of each environment in the next block, or the one that begins there.

        The last block may be shorter than the others.
        """
        begin = self.env_step if env_step is None else env_step
        left = math.ceil((self.config.total_steps - begin) / self.config.num_envs)
        return min(self.config.block_steps, left)

    def _updates_due(self, env_steps: int) -> int:
        """Return the updates that are due after the newest `env_steps` steps.

        What is left over is owed to the next block.
        """
        self._owe(env_steps)
        return self._updates_owed()

    def _owe(self, env_steps: int) -> None:
        """Count the newest `env_steps` steps among those that updates are owed for."""
        self.env_steps_owed += min(env_steps, max(0, self.env_step - self.learning_starts))

    def _updates_owed(self) -> int:
        """Return the updates that are due for the steps owed, and leave what is over."""
        count = self.config.updates_for(self.env_steps_owed)
        paid = count * self.config.env_steps_per_update
        self.env_steps_owed = max(0.0, self.env_steps_owed - paid)
        return count

    def _still_owed(self, env_steps_owed: float) -> float:
        """Return what a resumed run owes: less than one update costs now or, with a lag, a block's.

        Another --env_steps_per_update may have left more. A whole update but for rounding, as
        1.0 % 0.1 is, would be done twice.
        """
        most = self.config.most_updates if self.config.lag else 0
        too_many = max(0, self.config.updates_for(env_steps_owed) - most)
        return max(0.0, env_steps_owed - too_many * self.config.env_steps_per_update)

    @property
    def _place(self) -> str:
        """Where the run is, in words."""
        if self.is_offline:
            return f"update {self.logged_updates} on logged data"
        return f"environment step {self.env_step}"

    def _require_finite(self, metrics: dict[str, float]) -> None:
        if all(map(math.isfinite, metrics.values())):
            return
        raise LearningBroke(
            f"Learning broke at {self._place}: loss {metrics['loss']}, largest gradient norm"
            f" {metrics['gradient_norm']}. {against_breaking(self.config)}"
        )

    def _finished_episodes(
        self, reward: np.ndarray, ended: np.ndarray, before: int
    ) -> list[Episode]:
        """Return the episodes that ended within a block after environment step `before`.

        `reward` [T, N] and `ended` [T, N] bool are the environments' own. An episode whose return
        is not known, NaN, is left out.
        """
        num_envs = reward.shape[1]
        episodes = []
        start = np.zeros(num_envs, np.int64)  # of each environment's episode within the block
        for t, index in np.argwhere(ended).tolist():
            rewards = reward[start[index] : t + 1, index]
            episode_return = self.running_return[index] + rewards.sum(dtype=np.float64)
            length = self.running_length[index] + len(rewards)
            env_step = before + t * num_envs + index + 1
            if not math.isnan(episode_return):
                episodes.append(Episode(env_step, float(episode_return), int(length)))
            self.running_return[index] = 0.0
            self.running_length[index] = 0
            start[index] = t + 1
        for index, first in enumerate(start):
            self.running_return[index] += reward[first:, index].sum(dtype=np.float64)
            self.running_length[index] += len(reward) - first
        self.episodes += len(episodes)
        return episodes
