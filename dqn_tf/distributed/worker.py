"""A worker: a process that owns environments and takes their steps.

It keeps its shards' environments alive from one block to the next, but nothing depends on that: a
block follows from the weights, the shard's numbers and its running episodes, which the driver
knows. Neither Ray nor TensorFlow is known here.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.networks.numpy_forward import ForwardPlan, NumpyQFunction
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.distributed.fingerprint import Fingerprint, Versions, take_fingerprint, versions
from dqn_tf.distributed.packing import Packed, pack
from dqn_tf.envs import registry
from dqn_tf.experience.running_episodes import RunningEpisodes
from dqn_tf.experience.shard import Shard, ShardNumbers


class Process(NamedTuple):
    """Where a worker runs, and what it has loaded."""

    versions: Versions
    host: str
    pid: int
    has_tensorflow: bool
    memory: int  # resident bytes


class PlayedBack(NamedTuple):
    """What became of a shard's running episodes that were played back.

    Attributes:
      differing: the environments that did not repeat theirs.
      running: the episodes that are under way now; None if all repeated theirs.
    """

    differing: list[int]
    running: RunningEpisodes | None


class Played(NamedTuple):
    """A shard's block, and what was played back before it, if anything was."""

    steps: Packed
    back: PlayedBack | None


class Worker:
    """Takes the steps of whole shards. `path` is where the driver finds modules: a user's own."""

    def __init__(self, path: Sequence[str]) -> None:
        sys.path += [place for place in path if place not in sys.path]
        self._shards: dict[int, Shard] = {}
        self._version = -1  # of the weights

    def process(self) -> Process:
        """Describe this process. It is asked first: other versions read other configurations."""
        has_tensorflow = "tensorflow" in sys.modules
        return Process(versions(), socket.gethostname(), os.getpid(), has_tensorflow, _memory())

    def prepare(self, config: dict[str, Any], plan: ForwardPlan) -> Fingerprint:
        """Make ready to take steps of these runs. Raises UserError."""
        self._config = DQNConfig.from_dict(config)
        self._make_env = registry.maker(self._config)
        # as the driver does, before the environment is reset for anything else
        fingerprint = take_fingerprint(self._config, plan, self._make_env)
        self._spaces = self._make_env.spaces
        self._q_function = NumpyQFunction(plan, np.zeros(plan.size, np.float32))
        return fingerprint

    def begin(self, number: int) -> np.ndarray:
        """Begin the first episodes of a shard; return their observations [n, *shape]."""
        return self._new_shard(number).observation

    def play_back(self, number: int, running: RunningEpisodes) -> PlayedBack:
        """Play a shard's running episodes back."""
        shard = self._new_shard(number)
        differing = shard.play_back(running)
        return PlayedBack(differing, shard.running() if differing else None)

    def collect(
        self,
        number: int,
        numbers: ShardNumbers,
        weights: np.ndarray,
        version: int,
        running: RunningEpisodes | None,
    ) -> Played:
        """Take a shard's block under `weights`, whose number is `version`.

        `running` is given to a worker that does not have the shard yet. Raises UserError.
        """
        back = None if running is None else self.play_back(number, running)
        if version != self._version:
            self._q_function.refresh(np.array(weights))  # of its own: what is sent is read-only
            self._version = version
        shard = self._shards[number]
        steps = shard.collect(numbers)
        return Played(pack(steps, shard.observation, self._spaces.stack), back)

    def drop(self, number: int) -> None:
        """Close the environments of a shard that another worker has now."""
        if number in self._shards:
            self._shards.pop(number).env.close()

    def close(self) -> None:
        """Close the environments."""
        for shard in self._shards.values():
            shard.env.close()
        self._make_env.close()

    def _new_shard(self, number: int) -> Shard:
        self.drop(number)
        shard = Shard(self._config, self._make_env, self._q_function, number)
        self._shards[number] = shard
        return shard


def _memory() -> int:
    """Return the resident memory of this process in bytes, 0 where it cannot be told."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
