"""The host engine: a collector takes steps; updates run in one compiled call per block.

A block is `updates_per_block` updates and the environment steps that they are due for. Its steps
are taken first, then its batches are drawn, then all its updates run in one call, so the price of
entering TensorFlow is paid once a block. With `updates_per_block=1` this is the loop of the
textbook.

With `--lag=1` a block is collected while the updates of the one before are done, so the weights
that act are a block behind. At a block's end nothing is in flight: the updates that it made due are
owed, and the next block, or the run's end, does them. It is the same run whether the two happen at
the same time or one after the other.

With logged data, `pretrain_updates` and `offline_updates` come first, in blocks without steps.
Nothing else differs but what the replay draws from, and what an update that pretrains learns.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.program import Learned
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Arrays, Block, Engine
from dqn_tf.engines.held_out import HeldOut, hold_out_all
from dqn_tf.engines.prefetch import PrefetchingLearner
from dqn_tf.engines.replays import make_frames, make_replay, mix, priority_beta
from dqn_tf.experience.collector import LOCAL, Collector, Loan, RemoteCollector
from dqn_tf.experience.frames import numbered_spaces
from dqn_tf.experience.logged.shares import SharedEpisodes
from dqn_tf.experience.mixed_replay import MixedReplay
from dqn_tf.experience.q_function import QFunction
from dqn_tf.experience.replay import UniformReplay
from dqn_tf.experience.replay_unit import make_row_maker, row_columns
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError, UsersCode

WINDOWS = "windows/"  # the arrays of unfinished n-step windows in a checkpoint


class Taken(NamedTuple):
    """Steps of a block, and the seconds that it took to take them."""

    steps: Steps
    seconds: float


class UpdatesDone(NamedTuple):
    """Updates that were done in one go."""

    updates: int
    metrics: dict[str, float]
    weights: np.ndarray | None  # `Learned.weights`, after the last of them


class HostEngine(Engine):
    """Collects, stores and learns: one after the other or, with a lag, collects while it learns."""

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
        self._remote: RemoteCollector | None = None
        if config.lag and isinstance(collector, RemoteCollector):
            self._remote = collector
        self._has_begun = False  # remotely, with the next block
        # It does the updates. Weights that they write to must not act at the same time.
        self._helper: ThreadPoolExecutor | None = None
        has_own_weights = getattr(q_function, "keeps_weights", False)
        if config.lag and has_own_weights and self._remote is None:
            self._helper = ThreadPoolExecutor(1, "updates")

    def run_block(self) -> Block:
        """Take steps, then do updates; with a lag, those of the block before meanwhile.

        Raises UserError on a value that is not finite, before it reaches replay or a checkpoint.
        """
        if self.is_offline:
            return self._learn_offline()
        before = self.env_step
        (steps, collect_seconds), parts = self._take_block()
        start = time.perf_counter()
        self._store(steps)
        collect_seconds += time.perf_counter() - start
        # The last block's updates wait for no other block.
        if not self.config.lag or self.env_step >= self.config.total_steps:
            parts += self._begin_owed()()
        if self._remote is None:
            self._refresh_collector(parts)
        episodes = self._finished_episodes(steps.env_reward, steps.env_ended, before)
        return Block(episodes, self._joined_metrics(parts), collect_seconds)

    def _take_block(self) -> tuple[Taken, list[UpdatesDone]]:
        """Take a block's steps and, with a lag, do the updates of the one before meanwhile."""
        if not self.config.lag:
            return self._collect(), []
        if self._remote is not None:
            parts = self._learn_beside(self._remote)
            return self._collect(), parts
        if self._helper is None:  # the updates write to the very weights that act
            return self._collect(), self._begin_owed()()
        owed = self._begin_owed(self._helper)
        return self._collect(), owed()

    def _learn_offline(self) -> Block:
        pretrains = self.is_pretraining
        end = self.config.pretrain_updates if pretrains else self.config.logged_updates
        updates = min(self.config.most_logged_updates, end - self.logged_updates)
        done = self._learn(updates)
        self.collector.refresh(done.weights)
        self.logged_updates += updates
        if pretrains and self.logged_updates == end:
            self._end_pretraining()
        return Block([], done.metrics)

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

    def _collect(self) -> Taken:
        start = time.perf_counter()
        steps = self._collect_steps(*self._block_at(self.env_step))
        self._give_up(getattr(self._remote, "differing", ()))
        return Taken(steps, time.perf_counter() - start)

    def _collect_steps(self, length: int, epsilon: np.ndarray) -> Steps:
        """Have the collector take steps; one of the user's own may fail, or give other shapes."""
        if self.config.collector == LOCAL:
            return self.collector.collect(length, epsilon)
        with UsersCode(f"--collector={self.config.collector}"):
            steps = self.collector.collect(length, epsilon)
            steps.require_shapes(length, self.config.num_envs, self.agent.spaces)
        return steps

    def _learn_beside(self, remote: RemoteCollector) -> list[UpdatesDone]:
        """Do the updates that are owed while this block's steps are taken, and begin the next."""
        if not self._has_begun:
            remote.begin(*self._block_at(self.env_step))
        parts = self._begin_owed()()
        self._refresh_collector(parts)
        self._begin_next(remote)
        return parts

    def _begin_next(self, remote: RemoteCollector) -> None:
        """Have the block after the one that is being taken begun, if there is one."""
        after = self.env_step + self.steps_left() * self.config.num_envs
        self._has_begun = after < self.config.total_steps
        if self._has_begun:
            remote.begin(*self._block_at(after))

    def _block_at(self, env_step: int) -> tuple[int, np.ndarray]:
        """Return the length of the block that begins there, and its epsilon [length, N]."""
        length = self.steps_left(env_step)
        size = (length, self.config.num_envs)
        env_steps = env_step + np.arange(length * self.config.num_envs).reshape(size)
        return length, self.epsilon(env_steps)

    def _refresh_collector(self, parts: Sequence[UpdatesDone]) -> None:
        """Hand over the newest weights, if there are any."""
        if parts:
            self.collector.refresh(parts[-1].weights)

    def _store(self, steps: Steps) -> None:
        """Check and count new steps, and put them into the replay."""
        steps.require_finite(self.env_step)
        self.env_step += steps.action.size
        self._owe(steps.action.size)
        if self.frames is not None:
            steps = self.frames.numbered(steps)
        self.replay.add(self.row_maker.add(steps))

    def _begin_owed(self, helper: Executor | None = None) -> Callable[[], list[UpdatesDone]]:
        """Begin the updates that are owed, in a helper's thread if there is one.

        Returns what waits for them; they are one part or none.
        """
        updates = self._updates_owed()
        # whole episodes are there only when they have ended
        if not updates or not len(self.replay):
            return list
        learned = self._begin(updates, helper)
        return lambda: [self._done(updates, learned())]

    def _learn(self, updates: int) -> UpdatesDone:
        """Do so many updates, at least one."""
        return self._done(updates, self._begin(updates)())

    def _done(self, updates: int, learned: Learned) -> UpdatesDone:
        """Check and count what so many updates brought."""
        self._require_finite(learned.metrics)
        if learned.error is not None:
            self.replay.update_priorities(learned.error)
        self.updates += updates
        return UpdatesDone(updates, learned.metrics, learned.weights)

    def _joined_metrics(self, parts: Sequence[UpdatesDone]) -> dict[str, float]:
        """Return the metrics of all parts together; none without parts."""
        if len(parts) < 2:
            return parts[0].metrics if parts else {}
        counts = [part.updates for part in parts]
        return self.agent.block_metrics.join([part.metrics for part in parts], counts)

    def _begin(self, updates: int, helper: Executor | None = None) -> Callable[[], Learned]:
        """Draw the batches of so many updates, begin these, and return what waits for them."""
        self.replay.set_beta(priority_beta(self.config, self.progress))
        if isinstance(self.replay, MixedReplay):
            self.replay.is_offline = self.is_offline
        # As many batches are drawn for every block, so that one compiled program serves them all.
        most = self.config.most_logged_updates if self.is_offline else self.config.most_updates
        pretrains = self.is_pretraining
        if self.prefetching is not None:
            return functools.partial(self.prefetching.learn, most, updates, pretrains)
        batches = self.replay.sample(most, self.config.batch_size)
        if helper is not None:
            return self.agent.program.begin(batches, updates, helper)
        learn = self.agent.pretrain if pretrains else self.agent.learn
        return functools.partial(learn, batches, updates)

    @property
    def can_lend(self) -> bool:
        """Whether the collector lends environments."""
        return hasattr(self.collector, "lend")

    def lend(self) -> contextlib.AbstractContextManager[Loan]:
        """As described in `Engine`."""
        lend = getattr(self.collector, "lend", None)
        return super().lend() if lend is None else self._lent(lend(self.running_return))

    @contextlib.contextmanager
    def _lent(self, lending: contextlib.AbstractContextManager[Loan]) -> Iterator[Loan]:
        with lending as loan:
            yield loan
        self._give_up(loan.differing)

    def _give_up(self, envs: Sequence[int]) -> None:
        """Give up the episodes under way there, which were not repeated: others are played now.

        No row leads from the steps before to those that follow, and no return is a sum of both.
        """
        if not envs:
            return
        self.running_return[envs] = np.nan
        self.row_maker.forget(envs)
        if self.frames is not None:
            self.frames.forget(envs)

    def sync_agent(self) -> None:
        """Do nothing: it is the agent itself that learns here."""

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """As described in `Engine`; the collector's and the unfinished windows' are among it."""
        values, arrays = super().state()
        collector_values, collector_arrays = self.collector.state()
        values["replay"] = self.replay.state()
        for own, others in ((values, collector_values), (arrays, collector_arrays)):
            self._require_other_names(own, others)
        values |= collector_values
        arrays |= collector_arrays
        if self.held_out is not None:
            arrays |= self.held_out.state()
        for name, array in self.row_maker.state().items():
            arrays[WINDOWS + name] = array
        return values, arrays

    def _require_other_names(self, own: Mapping[str, Any], others: Mapping[str, Any]) -> None:
        """Raise UserError if the collector's state has a name of the run's own."""
        for name in own.keys() & others.keys():
            raise UserError(
                f"--collector={self.config.collector}: its state has the name {name!r}, which is"
                " one of the run's own. Give it another"
            )

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
        elif isinstance(self.replay, MixedReplay):
            self.replay.require_same(values["replay"])
        # With a lost replay went the frames that unfinished windows refer to by number.
        if rows is not None or self.frames is None:
            names = [name for name in arrays if name.startswith(WINDOWS)]
            self.row_maker.restore({name.removeprefix(WINDOWS): arrays[name] for name in names})
        differing = self.collector.restore(values, arrays)
        self._give_up(differing)
        return differing

    def close(self) -> None:
        """Close the collector, and end the helper threads."""
        if self._helper is not None:
            self._helper.shutdown()
        self.collector.close()
        if self.prefetching is not None:
            self.prefetching.close()
