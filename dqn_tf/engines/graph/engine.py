"""The graph engine: environments, acting, replay and updates in one compiled TensorFlow program.

It does what the host engine does, for the environments of `engines.graph.environments`, and is
entered once for several of a run's blocks (`engines.graph.portions`). Each step of all environments
is followed at once by the updates that are due, so actions are chosen by the newest weights. All
randomness comes from the run's NumPy generators: before a call, the host draws what its steps and
updates will need, so the program resumes to the bit. Several seeds may share a program; each has an
engine of its own.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Arrays, Block, Engine
from dqn_tf.engines.graph.portions import steps_of_call
from dqn_tf.engines.graph.program import BlockInputs, GraphProgram, SeedOutcome
from dqn_tf.engines.graph.replay import GraphReplay
from dqn_tf.experience import exploration
from dqn_tf.support.errors import UserError


class GraphEngine(Engine):
    """One seed's side of a graph run.

    It has the seed's counts, random numbers and part of the program's variables. Where several
    seeds share the program this is number `number` of them, counted from 0, and `agent` is an agent
    of its own that `sync_agent` brings up to date.
    """

    replay: GraphReplay

    def __init__(
        self,
        config: DQNConfig,
        agent: DQN,
        generators: dict[str, np.random.Generator],
        program: GraphProgram,
        number: int = 0,
    ) -> None:
        super().__init__(config, agent, generators)
        self.q_function = make_q_function(agent)
        self.program = program
        self.number = number
        self.replay = GraphReplay(program.packing, program.packed, number)
        size = (config.num_envs, program.env.random_size)
        program.start(number, generators["exploration"].random(size, np.float32))
        program.agent.load_arrays(agent.arrays(), number)

    def run_block(self) -> Block:
        """Take steps, each followed by the updates that are due.

        Raises UserError if learning breaks.
        """
        return run_block([self])[0]

    def sync_agent(self) -> None:
        """Copy what the program has learned for this seed into `agent`."""
        if self.program.agent is not self.agent:
            self.agent.load_arrays(self.program.agent.arrays(self.number))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def steps_left(self, env_step: int | None = None) -> int:
        """Return the steps of each environment in the next call, or the one that begins there."""
        return steps_of_call(self.config, self.env_step if env_step is None else env_step)

    def draw_inputs(self, steps: int) -> BlockInputs:
        """Draw and count what the program needs for a call of so many steps; move the counts on.

        The arrays are as long as the longest call: what lies behind the last step is not used.
        """
        config = self.config
        starts = range(0, steps, config.block_steps)
        portions = [self._draw_portion(min(steps - start, config.block_steps)) for start in starts]
        return BlockInputs.joined(portions, self.program.most_steps, self.program.most_updates)

    def _draw_portion(self, steps: int) -> BlockInputs:
        """Draw for one portion, the numbers of the steps that a shorter one lacks included."""
        config = self.config
        length = config.block_steps
        size = (length, config.num_envs)
        generator = self.generators["exploration"]
        env_steps = self.env_step + np.arange(length * config.num_envs).reshape(size)
        explore, draw = exploration.draw_exploration(generator, self.epsilon(env_steps))
        slot = np.zeros(length, np.int32)
        due = np.zeros(length, np.int32)
        filled: list[int] = []  # of each update, the rows that it can draw
        for t in range(steps):
            slot[t] = self._take_slot()
            due[t] = self._updates_due(config.num_envs)
            filled += [len(self.replay)] * int(due[t])
        return BlockInputs(
            explore=explore,
            random=exploration.random_action(draw, self.agent.spaces.actions).astype(np.int32),
            fresh=generator.random((*size, self.program.env.random_size), np.float32),
            slot=slot,
            due=due,
            places=self._draw_places(filled),
        )

    def require_in_step(self, drawn: BlockInputs, others: BlockInputs) -> None:
        """Raise UserError unless this seed writes rows and does updates when the others do.

        One program does both for all seeds at once.
        """
        if np.array_equal(drawn.slot, others.slot) and np.array_equal(drawn.due, others.due):
            return
        raise UserError(
            f"--resume: the replay of seed {self.config.seed} was filled at another time than those"
            " of the others, as by --refill_replay for it alone. Resume each seed by itself, or"
            " delete the replay of one and add --refill_replay"
        )

    def finish_block(self, outcome: SeedOutcome, before: int, updates: int) -> Block:
        """Count what a block after environment step `before` brought this seed.

        Raises UserError if learning broke.
        """
        metrics = outcome.metrics if updates else {}
        if updates:
            self._require_finite(metrics)
            self.updates += updates
        return Block(self._finished_episodes(outcome.reward, outcome.ended, before), metrics)

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """As described in `Engine`; what runs in the program is among it."""
        self.sync_agent()
        values, arrays = super().state()
        values["replay"] = self.replay.state()
        return values, arrays | self.program.arrays(self.number)

    def restore(
        self, values: dict[str, Any], arrays: Arrays, rows: Mapping[str, np.ndarray] | None
    ) -> list[int]:
        """As described in `Engine`; nothing needs to be played back."""
        super().restore(values, arrays, rows)
        self.program.agent.load_arrays(arrays, self.number)
        self.program.load(arrays, self.number)
        if rows is not None:
            self.replay.restore(rows, values["replay"])
        return []

    def _take_slot(self) -> int:
        """Count one step of all environments; return the row of replay that it is written to."""
        num_envs = self.config.num_envs
        slot = self.replay.added // num_envs % self.replay.row_count
        self.env_step += num_envs
        # The rows of the first n - 1 steps are empty, and the next step writes over them.
        if self.env_step > (self.config.n_step - 1) * num_envs:
            self.replay.added += num_envs
        return slot

    def _draw_places(self, filled: list[int]) -> np.ndarray:
        """Draw the batch of each update from its `filled` rows: [U, B] int32."""
        below = np.array(filled, np.int64)[:, np.newaxis]
        size = (len(filled), self.config.batch_size)
        return self.generators["replay"].integers(below, size=size).astype(np.int32)


def run_block(engines: Sequence[GraphEngine]) -> list[Block]:
    """Run the next block of all seeds of one program, which are at the same step.

    Raises UserError if learning breaks for one of them, or if their replays are filled differently.
    """
    first = engines[0]
    before = first.env_step
    steps = first.steps_left()
    inputs = [engine.draw_inputs(steps) for engine in engines]
    for engine, drawn in zip(engines, inputs, strict=True):
        engine.require_in_step(drawn, inputs[0])
    outcomes = first.program.run(inputs, steps)
    updates = int(inputs[0].due.sum())
    return [
        engine.finish_block(outcome, before, updates)
        for engine, outcome in zip(engines, outcomes, strict=True)
    ]
