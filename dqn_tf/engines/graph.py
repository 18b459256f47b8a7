"""The graph engine: environments, acting, replay and updates in one compiled TensorFlow program, entered once a block.

It does what the host engine does, for the environments of `envs.native`. Each step of all environments is followed at once by the updates
that are due, so actions are chosen by the newest weights whatever the length of a block. All randomness comes from the run's NumPy
generators: before a block, the host draws what its steps and updates will need, so the program is a function of its variables and of
those numbers, and resumes to the bit.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf import exploration
from dqn_tf.agent import DQN, METRICS, averaged, gathered
from dqn_tf.config import DQNConfig
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.graph_replay import GraphReplay
from dqn_tf.engines.graph_transitions import GraphNStep
from dqn_tf.envs.native import NativeEnv

Plan = dict[str, np.ndarray]
State = dict[str, Any]


class GraphEngine(Engine):
    """Collects with epsilon-greedy in `num_envs` native environments and learns from replay."""

    def __init__(self, config: DQNConfig, agent: DQN, env: NativeEnv, generators: dict[str, np.random.Generator]) -> None:
        super().__init__(config, agent, generators)
        self.env, envs = env, config.num_envs
        self.replay = GraphReplay(config.replay_capacity, envs, agent.spaces)
        self.transitions = GraphNStep(config.n_step, config.gamma)
        fresh = generators["exploration"].random((envs, env.random_size), np.float32)
        self.running = tf.nest.map_structure(tf.Variable, {
            "state": env.initial(tf.constant(fresh)), "length": tf.zeros(envs, tf.int32), "pending": self.transitions.start(envs, agent.spaces)})
        self.program = tf.function(self._program, jit_compile=True)

    def run_block(self) -> Block:
        """Steps, each followed by the updates that are due. Raises UserError if learning breaks."""
        before, steps = self.env_step, self._steps_left()
        plan = self._plan(steps)
        outcome, means = self.program({name: tf.constant(column) for name, column in plan.items()}, tf.constant(steps))
        reward, ended = (column[:steps] for column in np.split(outcome.numpy(), 2, axis=1))
        metrics = {}
        if count := int(plan["due"].sum()):
            metrics = dict(zip(METRICS, means.numpy().tolist(), strict=True))
            self._require_finite(metrics)
            self.updates += count
        return Block(self._finished_episodes(reward, ended > 0.5, before), metrics)

    def _plan(self, steps: int) -> Plan:
        """What the program needs to know of each step [T, ...] and update [U, ...]; moves the counts on."""
        config, envs, length = self.config, self.config.num_envs, self.block_steps
        generator, late = self.generators["exploration"], config.n_step - 1
        moments = self.env_step + np.arange(length * envs).reshape(length, envs)
        explore, draw = exploration.plan(generator, self.epsilon(moments))
        due, slot, filled = np.zeros(length, np.int32), np.zeros(length, np.int32), []
        for t in range(steps):
            slot[t] = self.replay.added // envs % self.replay.row_count
            self.env_step += envs
            if self.env_step > late * envs:  # before, what was written is empty, and the next step writes over it
                self.replay.added += envs
            due[t] = self._updates_due(envs)
            filled += [len(self.replay)] * due[t]
        places = np.zeros((self.most_updates, config.batch_size), np.int32)
        places[:len(filled)] = self.generators["replay"].integers(np.array(filled, np.int64)[:, np.newaxis], size=(len(filled), config.batch_size))
        return {"explore": explore, "random": exploration.random_action(draw, self.agent.spaces.actions).astype(np.int32),
                "fresh": generator.random((length, envs, self.env.random_size), np.float32), "slot": slot, "due": due, "places": places}

    def _program(self, plan: dict[str, tf.Tensor], steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`steps` steps of all environments and their updates.

        Returns each step's rewards and ends, [T, 2N], and the updates' metrics, [3].
        """
        t, update, sums = tf.constant(0), tf.constant(0), tf.zeros(3)
        running = tf.nest.map_structure(tf.convert_to_tensor, self.running)
        packed = tf.convert_to_tensor(self.replay.packed)
        outcome = tf.zeros((self.block_steps, 2 * self.config.num_envs))
        while t < steps:
            running, row, reward, ended = self._step(running, plan["explore"][t], plan["random"][t], plan["fresh"][t])
            packed = tf.tensor_scatter_nd_update(packed, [[plan["slot"][t]]], self.replay.pack(row))
            outcome = tf.tensor_scatter_nd_update(outcome, [[t]], tf.concat([reward, tf.cast(ended, tf.float32)], axis=0)[tf.newaxis])
            last = update + plan["due"][t]
            while update < last:
                sums = gathered(sums, self.agent.update(self.replay.batch(packed, plan["places"][update])))
                update += 1
            t += 1
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self.running, running)
        self.replay.packed.assign(packed)
        return outcome, averaged(sums, update)

    def _step(self, running: State, explore: tf.Tensor, random: tf.Tensor, fresh: tf.Tensor) -> tuple[State, State, tf.Tensor, tf.Tensor]:
        """One step of each environment: what is running then, the rows for replay, rewards [N] and ends [N]."""
        observation = self.env.observe(running["state"])
        greedy = tf.argmax(self.agent(observation), axis=1, output_type=tf.int32)
        action = tf.where(explore, random, greedy)
        state, reward, terminated = self.env.step(running["state"], action)
        length = running["length"] + 1
        truncated = length >= self.env.max_episode_steps
        row, pending = self.transitions.add(running["pending"], observation, action, reward, terminated, truncated, self.env.observe(state))
        ended = terminated | truncated
        state = tf.where(ended[:, tf.newaxis], self.env.initial(fresh), state)
        return {"state": state, "length": tf.where(ended, 0, length), "pending": pending}, row, reward, ended

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that moves, as JSON values and as arrays: what `restore` needs to go on as if never stopped."""
        values, arrays = super().state()
        return values | {"replay": self.replay.state()}, arrays | {name: variable.numpy() for name, variable in self._named().items()}

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray], rows: dict[str, np.ndarray] | None) -> list[int]:
        """As of `Engine`; nothing needs to be played back."""
        super().restore(values, arrays, rows)
        for name, variable in self._named().items():
            variable.assign(arrays[name])
        if rows is not None:
            self.replay.restore(rows, values["replay"])
        return []

    def _named(self) -> dict[str, tf.Variable]:
        running = self.running
        return {"running/state": running["state"], "running/episode_length": running["length"]} | {
            f"windows/{name}": variable for name, variable in running["pending"].items()}
