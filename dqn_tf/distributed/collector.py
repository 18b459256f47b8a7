"""A collector whose steps are taken by workers on Ray.

Each worker owns shards. What comes back is put in the order of environments, never of arrival. The
running episodes are followed here from the steps that come back. So a checkpoint holds nothing of
Ray, and a worker that is lost costs blocks that are played again.

Workers wait for nobody: a block is sent to them while they play the one before it.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.networks.numpy_forward import ForwardPlan
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.distributed import ray_cluster
from dqn_tf.distributed.fingerprint import Fingerprint, take_fingerprint
from dqn_tf.distributed.notes import say
from dqn_tf.distributed.packing import unpack
from dqn_tf.distributed.pool import Member, Pool
from dqn_tf.distributed.shard_calls import Round, ShardCalls
from dqn_tf.distributed.worker import Played, PlayedBack
from dqn_tf.envs import registry
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience.running_episodes import RunningEpisodes, not_repeated
from dqn_tf.experience.shard import draw_numbers
from dqn_tf.experience.steps import Steps, side_by_side
from dqn_tf.support.closing import closed_on_error
from dqn_tf.support.errors import UserError, describe_error

FLOAT_BYTES = 4
STEP_BYTES = 32  # of a step's numbers beside its observations and masks


class _Begun(NamedTuple):
    """A block that workers have, or will have, and the generator's state after its numbers."""

    round: Round
    generator_state: Any


class RayCollector:
    """Takes the steps of environments that workers own. `read_weights` gives the newest ones."""

    def __init__(
        self,
        config: DQNConfig,
        plan: ForwardPlan,
        read_weights: Callable[[], np.ndarray],
        generator: np.random.Generator,
    ) -> None:
        self._config = config
        self._read_weights = read_weights
        self._generator = generator
        self._drawing = copy.deepcopy(generator)  # ahead of it by the blocks that are begun
        self._begun: collections.deque[_Begun] = collections.deque()
        self.differing: list[int] = []  # as described in `RemoteCollector`
        with contextlib.closing(registry.maker(config)) as make_env:
            own = take_fingerprint(config, plan, make_env)
            objects = FLOAT_BYTES * plan.size + block_bytes(config, make_env.spaces)
        self._cluster = ray_cluster.connect(config, objects)
        with closed_on_error() as opened:
            opened.callback(self._cluster.disconnect)
            self._begin(plan, own)

    def _begin(self, plan: ForwardPlan, own: Fingerprint) -> None:
        """Start the workers and their first episodes. Raises UserError."""
        self.pool = Pool(self._cluster, self._config, plan, own)
        say(self.pool.describe())
        self._calls = ShardCalls(self._cluster.ray, self._config, self.pool)
        self._version = 0
        self.refresh()
        begun = self._calls.ask(lambda member, shard: member.actor.begin.remote(shard))
        self._running = [RunningEpisodes.begun(np.array(observation)) for observation in begun]

    def begin(self, length: int, epsilon: np.ndarray) -> None:
        """As described in `RemoteCollector`."""
        with self._with_ray():
            self._begin_block(epsilon)

    def _begin_block(self, epsilon: np.ndarray) -> None:
        if not self._begun:
            self._drawing.bit_generator.state = self._generator.bit_generator.state
        numbers = draw_numbers(self._config, self._drawing, epsilon)
        weights, version = self._cluster.ray.put(self._weights), self._version

        def request(member: Member, shard: int) -> Any:
            running = self._running[shard] if self._calls.is_cold[shard] else None
            return member.actor.collect.remote(shard, numbers[shard], weights, version, running)

        begun = _Begun(Round(self._calls, request), self._drawing.bit_generator.state)
        self._begun.append(begun)
        # Shards change hands only between two blocks.
        if len(self._begun) == 1 or not self.pool.missing:
            self._send(begun.round)

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """Return the block that was begun first, or else that of these arguments.

        As described in `Collector`.
        """
        if not self._begun:
            self.begin(length, epsilon)
        begun = self._begun.popleft()
        with self._with_ray():
            steps = self._joined(begun.round.answers())
            self._generator.bit_generator.state = begun.generator_state
            if self._begun:
                self._send(self._begun[0].round)
        return steps

    def _send(self, block: Round) -> None:
        """Send a block to the owners of shards that do not have it."""
        if not block.is_sent and block is self._begun[0].round:
            self._calls.grow()
        block.send()

    def _joined(self, blocks: list[Played]) -> Steps:
        """Put shards' steps side by side, and follow their running episodes."""
        parts = []
        self.differing = []
        for shard, played in enumerate(blocks):
            if played.back is not None and self._take_over(shard, played.back):
                self.differing += played.back.differing
                say(
                    f"warning: {not_repeated(played.back.differing[0])}: learning goes on from"
                    " where it is now."
                )
            running = self._running[shard]
            steps, observation = unpack(played.steps, running.observation)
            self._running[shard] = running.after(steps, observation)
            parts.append(steps)
        return side_by_side(parts)

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """As described in `Collector`."""
        self._weights = self._read_weights() if weights is None else weights
        self._version += 1

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the running episodes, as `LocalCollector` does."""
        return RunningEpisodes.joined(self._running).state()

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[int]:
        """Have the running episodes played back, as described in `Collector`."""
        running = RunningEpisodes.of_state(values, arrays)
        self._running = [running.part(envs) for envs in self._config.shard_ranges]
        with self._with_ray():
            played = self._calls.ask(
                lambda member, shard: member.actor.play_back.remote(shard, self._running[shard])
            )
        return [env for shard, back in enumerate(played) for env in self._take_over(shard, back)]

    def _take_over(self, shard: int, back: PlayedBack) -> list[int]:
        """Go on from where environments are that did not repeat their episodes; return these."""
        if back.running is not None:
            returns = self._running[shard].returns
            if returns is not None:
                first = self._config.shard_ranges[shard].start
                returns = returns.copy()
                returns[[env - first for env in back.differing]] = np.nan  # not known any more
            self._running[shard] = dataclasses.replace(back.running, returns=returns)
        return back.differing

    @contextlib.contextmanager
    def _with_ray(self) -> Iterator[None]:
        """Raise a sentence where Ray itself is gone. Workers that are lost are replaced instead."""
        try:
            yield
        except self._cluster.ray.exceptions.RayError as error:
            raise UserError(
                f"--workers={self._config.workers}: the Ray that they run on does not answer any"
                f" more: {describe_error(error)}"
            ) from error

    def close(self) -> None:
        """End the workers, and Ray if it is our own."""
        self.pool.close()
        self._cluster.disconnect()


def block_bytes(config: DQNConfig, spaces: Spaces) -> int:
    """Return about how much a block's steps take on their way."""
    observation = (
        int(np.prod(spaces.observation_shape)) * np.dtype(spaces.observation_dtype).itemsize
    )
    step = 2 * observation + 2 * spaces.actions * spaces.masked + STEP_BYTES
    return config.block_steps * config.num_envs * step
