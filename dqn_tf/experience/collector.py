"""Collectors: steps of some environments under given weights.

A collector is where experience comes from. The host engine asks for a block of steps, learns, and
hands over the new weights. `LocalCollector` steps the environments in this process. A collector of
one's own is `--collector=my_module:MyCollector`: see `make_collector` for how it is made. NumPy
only, so that a process that only collects need not load TensorFlow.

A block must be a function of the weights, the seeds of the episodes, the numbers drawn from
`generator`, and the episodes under way. Then the same seed gives the same run, and a checkpoint
needs no environment to be saved.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.experience.q_function import QFunction
from dqn_tf.experience.running_episodes import RunningEpisodes
from dqn_tf.experience.shard import Shard, draw_numbers
from dqn_tf.experience.steps import Steps, side_by_side
from dqn_tf.support.closing import closed_on_error
from dqn_tf.support.errors import UsersCode
from dqn_tf.support.imports import import_named

LOCAL = "local"


class Collector(Protocol):
    """Takes steps of environments and chooses their actions."""

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """Take `length` steps of each environment.

        `epsilon` [length, N] is the probability of a random action at each step. The steps may be
        views that hold until the next call. Raises UserError if an environment cannot be used.
        """

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Act with these weights from now on, as in `QFunction.refresh`."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `restore` needs, as JSON values and as arrays, by names of its own."""

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[int]:
        """Take over what `state` returned, among the rest of a checkpoint.

        Returns the environments whose episodes under way could not be repeated.
        """

    def close(self) -> None:
        """Close what was opened."""


@runtime_checkable
class RemoteCollector(Collector, Protocol):
    """A collector whose environments run elsewhere, and need not wait from block to block.

    With `--lag=1` a block is begun as soon as its weights are there, while the one before is under
    way. `collect` returns blocks in the order in which they were begun. What `state` returns is
    that after the last of these, and `generator` must then be where its numbers end. Where episodes
    are played back elsewhere on the way, `differing` are the environments that did not repeat
    theirs before the block that was returned last; it need not be there.
    """

    def begin(self, length: int, epsilon: np.ndarray) -> None:
        """Have a block taken under the weights of now, after those that are begun already."""


@dataclasses.dataclass
class Loan:
    """Environments of training that are lent for a while.

    `differing` are, once they are given back, those that did not repeat their running episode.
    """

    envs: list[CheckedEnv]
    differing: list[int] = dataclasses.field(default_factory=list)


class LocalCollector:
    """Steps Gymnasium environments in this process, epsilon-greedily over legal actions.

    Owns them in `shards`, and what explores. `spaces` are what they observe and take.
    """

    def __init__(
        self,
        config: DQNConfig,
        make_env: Callable[[], gym.Env],
        q_function: QFunction,
        generator: np.random.Generator,
    ) -> None:
        self.shards: list[Shard] = []
        with closed_on_error() as opened:
            opened.callback(self.close)
            for number in range(config.shards):
                self.shards.append(Shard(config, make_env, q_function, number))
        self.spaces = self.shards[0].env.spaces
        self._config = config
        self._q_function = q_function
        self._generator = generator

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """As described in `Collector`."""
        numbers = draw_numbers(self._config, self._generator, epsilon)
        pairs = zip(self.shards, numbers, strict=True)
        return side_by_side([shard.collect(drawn) for shard, drawn in pairs])

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """As described in `Collector`."""
        self._q_function.refresh(weights)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the running episodes: numbers, which decide the seeds, and actions so far."""
        return RunningEpisodes.joined([shard.running() for shard in self.shards]).state()

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[int]:
        """Play the running episodes back, as described in `Collector`."""
        return self._play_back(RunningEpisodes.of_state(values, arrays))

    @contextlib.contextmanager
    def lend(self, returns: np.ndarray) -> Iterator[Loan]:
        """Lend the environments for an evaluation, and play their running episodes back after it.

        `returns` [N] are the sums of these episodes' rewards. A collector of your own may have this
        method; without it, evaluations need an environment of their own.
        """
        running = RunningEpisodes.joined([shard.running() for shard in self.shards])
        loan = Loan([env for shard in self.shards for env in shard.env.envs])
        rows = [env.into for env in loan.envs]
        for env in loan.envs:
            env.into = None  # what is shown to others is not the training's
        try:
            yield loan
        finally:
            for env, row in zip(loan.envs, rows, strict=True):
                env.into = row
        loan.differing = self._play_back(dataclasses.replace(running, returns=returns))

    def close(self) -> None:
        """Close the environments."""
        for shard in self.shards:
            shard.env.close()

    def _play_back(self, running: RunningEpisodes) -> list[int]:
        differing = [shard.play_back(running.part(shard.envs)) for shard in self.shards]
        return [index for indices in differing for index in indices]


def find_collector(config: DQNConfig) -> Callable[..., Collector]:
    """Return what makes the configured collector. Raises UserError if it cannot be imported."""
    if config.collector == LOCAL:
        return LocalCollector
    return import_named("collector", config.collector)


def make_collector(
    config: DQNConfig,
    make_env: Callable[[], gym.Env],
    q_function: QFunction,
    generator: np.random.Generator,
) -> Collector:
    """Make the configured collector: `MyCollector(config, make_env, q_function, generator)`.

    `make_env` makes one environment; `q_function` tells the Q-values of observations; every random
    number comes from `generator`, which a checkpoint saves. Raises UserError if it cannot be
    imported or made.
    """
    make = find_collector(config)
    with UsersCode(f"--collector={config.collector}"):
        return make(config, make_env, q_function, generator)
