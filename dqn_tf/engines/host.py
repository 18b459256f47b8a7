"""The host engine: a collector takes steps; updates run in one compiled call per block.

A block is `updates_per_block` updates and the environment steps that they are due for. Its steps
are taken first, then its batches are drawn, then all its updates run in one call, so the price of
entering TensorFlow is paid once a block. With `updates_per_block=1` this is the loop of the
textbook.

With logged data, `pretrain_updates` and `offline_updates` come first, in blocks without steps.
Nothing else differs but what the replay draws from, and what an update that pretrains learns.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.program import Learned
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Arrays, Block, Engine
from dqn_tf.engines.held_out import HeldOut, hold_out_all
from dqn_tf.engines.prefetch import PrefetchingLearner
from dqn_tf.engines.replays import make_frames, make_replay, mix, priority_beta
from dqn_tf.experience.collector import Collector, Loan, QFunction
from dqn_tf.experience.frames import numbered_spaces
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.mixed_replay import MixedReplay
from dqn_tf.experience.replay import UniformReplay
from dqn_tf.experience.replay_unit import make_row_maker, row_columns
from dqn_tf.experience.steps import Steps

WINDOWS = "windows/"  # the arrays of unfinished n-step windows in a checkpoint
OFFLINE_BLOCK_UPDATES = 64  # at least so many, since no step waits for them


class HostEngine(Engine):
    """Collects, stores and learns, one after the other."""

    replay: UniformReplay | MixedReplay

    def __init__(
        self,
        config: DQNConfig,
        agent: DQN,
        q_function: QFunction,
        collector: Collector,
        generators: dict[str, np.random.Generator],
        logged: Sequence[SharedEpisodes] = (),
    ) -> None:
        super().__init__(config, agent, generators)
        self.q_function = q_function
        self.collector = collector
        self.frames = make_frames(config, agent.spaces)
        stored = agent.spaces if self.frames is None else numbered_spaces(agent.spaces)
        online = make_replay(
            config,
            row_columns(config, stored),
            generators["replay"],
            self.frames,
            stored.padding,
        )
        self.held_out: HeldOut | None = None
        if config.pretrain_updates:
            logged, held_out = hold_out_all(logged)
            self.held_out = HeldOut(held_out)
        self.replay = mix(config, online, logged) if logged else online
        self.row_maker = make_row_maker(config, stored)
        self.prefetching: PrefetchingLearner | None = None
        if self.frames is not None:
            self.prefetching = PrefetchingLearner(agent, self.replay, config.batch_size)

    def run_block(self) -> Block:
        """Take steps, then do updates.

        Raises UserError on a value that is not finite, before it reaches replay or a checkpoint.
        """
        if self.is_offline:
            return self._learn_offline()
        before = self.env_step
        start = time.perf_counter()
        steps = self._collect()
        self._store(steps)
        collect_seconds = time.perf_counter() - start
        updates = self._updates_due(steps.action.size)
        # whole episodes are there only when they have ended
        metrics = self._learn(updates) if len(self.replay) else {}
        episodes = self._finished_episodes(steps.env_reward, steps.env_ended, before)
        return Block(episodes, metrics, collect_seconds)

    def _learn_offline(self) -> Block:
        pretrains = self.is_pretraining
        end = self.config.pretrain_updates if pretrains else self.config.logged_updates
        updates = min(self._offline_block, end - self.logged_updates)
        metrics = self._learn(updates)
        self.logged_updates += updates
        if pretrains and self.logged_updates == end:
            self._end_pretraining()
        return Block([], metrics)

    def _end_pretraining(self) -> None:
        """Begin to learn Q-values with a target network that knows what was pretrained."""
        self.agent.copy_to_target()
        if self.held_out is not None:
            self.q_function.refresh()
            self.held_out.remember(self.q_function)

    def behaviour_metrics(self) -> dict[str, float]:
        """As described in `Engine`."""
        if self.held_out is None:
            return {}
        self.q_function.refresh()
        return self.held_out.measure(self.q_function)

    @property
    def _offline_block(self) -> int:
        return max(self.config.most_updates, OFFLINE_BLOCK_UPDATES)

    def _collect(self) -> Steps:
        length = self.steps_left()
        size = (length, self.config.num_envs)
        env_steps = self.env_step + np.arange(length * self.config.num_envs).reshape(size)
        steps = self.collector.collect(length, self.epsilon(env_steps))
        steps.require_finite(self.env_step)
        self.env_step += steps.action.size
        return steps

    def _store(self, steps: Steps) -> None:
        if self.frames is not None:
            steps = self.frames.numbered(steps)
        self.replay.add(self.row_maker.add(steps))

    def _learn(self, updates: int) -> dict[str, float]:
        """Do so many updates and act by their weights; return their metrics."""
        if not updates:
            return {}
        self.replay.set_beta(priority_beta(self.config, self.progress))
        learned = self._update(updates)
        self._require_finite(learned.metrics)
        if learned.error is not None:
            self.replay.update_priorities(learned.error)
        self.updates += updates
        self.collector.refresh(learned.weights)
        return learned.metrics

    def _update(self, updates: int) -> Learned:
        # As many batches are drawn for every block, so that one compiled program serves them all.
        most = self._offline_block if self.is_offline else self.config.most_updates
        pretrains = self.is_pretraining
        if self.prefetching is not None:
            return self.prefetching.learn(most, updates, pretrains)
        batches = self.replay.sample(most, self.config.batch_size)
        if pretrains:
            return self.agent.pretrain(batches, updates)
        return self.agent.learn(batches, updates)

    @property
    def can_lend(self) -> bool:
        """Whether the collector lends environments."""
        return hasattr(self.collector, "lend")

    def lend(self) -> contextlib.AbstractContextManager[Loan]:
        """As described in `Engine`."""
        lend = getattr(self.collector, "lend", None)
        return super().lend() if lend is None else lend(self.running_return)

    def sync_agent(self) -> None:
        """Do nothing: it is the agent itself that learns here."""

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """As described in `Engine`; the collector's and the unfinished windows' are among it."""
        values, arrays = super().state()
        collector_values, collector_arrays = self.collector.state()
        values |= {"replay": self.replay.state()} | collector_values
        arrays |= collector_arrays
        if self.held_out is not None:
            arrays |= self.held_out.state()
        for name, array in self.row_maker.state().items():
            arrays[WINDOWS + name] = array
        return values, arrays

    def restore(
        self, values: dict[str, Any], arrays: Arrays, rows: Mapping[str, np.ndarray] | None
    ) -> list[int]:
        """As described in `Engine`; the collector repeats the running episodes."""
        super().restore(values, arrays, rows)
        self.collector.refresh()
        if self.held_out is not None:
            self.held_out.restore(arrays)
        if rows is not None:
            self.replay.restore(rows, values["replay"])
        # With a lost replay went the frames that unfinished windows refer to by number.
        if rows is not None or self.frames is None:
            names = [name for name in arrays if name.startswith(WINDOWS)]
            self.row_maker.restore({name.removeprefix(WINDOWS): arrays[name] for name in names})
        return self.collector.restore(values, arrays)

    def close(self) -> None:
        """Close the collector, and end the helper thread."""
        self.collector.close()
        if self.prefetching is not None:
            self.prefetching.close()
