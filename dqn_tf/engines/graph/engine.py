"""The graph engine: environments, acting, replay and updates in one compiled TensorFlow program,
entered once a block.

It does what the host engine does, for the environments of `envs.native`. Each step of all
environments is followed at once by the updates that are due, so actions are chosen by the newest
weights whatever the length of a block. All randomness comes from the run's NumPy generators: before
a block, the host draws what its steps and updates will need, so the program resumes to the bit.
Several seeds may share a program; each has an engine of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dqn_tf.agent.dqn import DQN
from dqn_tf.agent.networks.fast_forward import make_q_function
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.graph.program import GraphProgram, Plan
from dqn_tf.engines.graph.replay import GraphReplay
from dqn_tf.experience import exploration


class GraphEngine(Engine):
    """One seed's side of a graph run: its counts, its random numbers, its part of the program's
    variables.

    Of a program of several seeds this is one, counted from 0, and `agent` is an agent of its own
    that `sync_agent` brings up to date.
    """

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
        self.program, self.number = program, number
        self.replay = GraphReplay(program.packing, program.packed, number)
        program.start(
            number,
            generators["exploration"].random(
                (config.num_envs, program.env.random_size), np.float32
            ),
        )
        program.agent.load_arrays(agent.arrays(), number)

    def run_block(self) -> Block:
        """Steps, each followed by the updates that are due. Raises UserError if learning breaks."""
        return run_block([self])[0]

    def sync_agent(self) -> None:
        """Makes `agent` what the program has learned for this seed."""
        if self.program.agent is not self.agent:
            self.agent.load_arrays(self.program.agent.arrays(self.number))

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def plan(self, steps: int) -> Plan:
        """What the program needs to know of each step [T, ...] and update [U, ...]; moves the
        counts on.
        """
        config, envs, length = self.config, self.config.num_envs, self.config.block_steps
        generator, late = self.generators["exploration"], config.n_step - 1
        moments = self.env_step + np.arange(length * envs).reshape(length, envs)
        explore, draw = exploration.draw_exploration(generator, self.epsilon(moments))
        due, slot, filled = np.zeros(length, np.int32), np.zeros(length, np.int32), []
        for t in range(steps):
            slot[t] = self.replay.added // envs % self.replay.row_count
            self.env_step += envs
            # before, what was written is empty, and the next step writes over it
            if self.env_step > late * envs:
                self.replay.added += envs
            due[t] = self._updates_due(envs)
            filled += [len(self.replay)] * due[t]
        places = np.zeros((config.most_updates, config.batch_size), np.int32)
        places[: len(filled)] = self.generators["replay"].integers(
            np.array(filled, np.int64)[:, np.newaxis], size=(len(filled), config.batch_size)
        )
        return {
            "explore": explore,
            "random": exploration.random_action(draw, self.agent.spaces.actions).astype(np.int32),
            "fresh": generator.random((length, envs, self.program.env.random_size), np.float32),
            "slot": slot,
            "due": due,
            "places": places,
        }

    def outcome(
        self,
        reward: np.ndarray,
        ended: np.ndarray,
        before: int,
        updates: int,
        metrics: dict[str, float],
    ) -> Block:
        """What a block brought this seed, after environment step `before`.

        Raises UserError if learning broke.
        """
        if updates:
            self._require_finite(metrics)
            self.updates += updates
        return Block(self._finished_episodes(reward, ended, before), metrics if updates else {})

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that moves, as JSON values and as arrays:

        what `restore` needs to go on as if never stopped.
        """
        self.sync_agent()
        values, arrays = super().state()
        return values | {"replay": self.replay.state()}, arrays | self.program.arrays(self.number)

    def restore(
        self,
        values: dict[str, Any],
        arrays: dict[str, np.ndarray],
        rows: dict[str, np.ndarray] | None,
    ) -> list[int]:
        """As of `Engine`; nothing needs to be played back."""
        super().restore(values, arrays, rows)
        self.program.agent.load_arrays(arrays, self.number)
        self.program.load(arrays, self.number)
        if rows is not None:
            self.replay.restore(rows, values["replay"])
        return []


def run_block(engines: Sequence[GraphEngine]) -> list[Block]:
    """The next block of all seeds of one program, which are at the same step.

    Raises UserError if learning breaks for one of them.
    """
    first = engines[0]
    before, steps = first.env_step, first._steps_left()
    plans = [engine.plan(steps) for engine in engines]
    outcomes, metrics = first.program.run(plans, steps)
    updates = int(plans[0]["due"].sum())
    return [
        engine.outcome(*outcome, before, updates, means)
        for engine, outcome, means in zip(engines, outcomes, metrics, strict=True)
    ]
