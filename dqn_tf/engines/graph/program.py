"""Environments, acting, replay and updates as one compiled TensorFlow program, for one seed or for
several that never meet.

It is a function of its variables and of the numbers that it is given: all randomness is drawn on
the host. Wherever seeds and environments share an axis, K seeds with N environments each, the first
N places are the first seed's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN, averaged, gathered, named
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.graph.environments import NativeEnv
from dqn_tf.engines.graph.replay import Packing
from dqn_tf.engines.graph.transitions import GraphNStep

Plan = dict[str, np.ndarray]
State = dict[str, Any]


class GraphProgram:
    """`block_steps` steps at most of all environments, each followed by the updates that are due.
    Holds what moves beside the agent.

    `running`: the environments' states and the n-step windows; `packed`: the contents of all
    replays, [rows, K · N · width].
    """

    def __init__(self, config: DQNConfig, agent: DQN, env: NativeEnv) -> None:
        self.agent, self.env, self.block_steps = agent, env, config.block_steps
        self.seeds, self.envs = agent.num_agents, agent.num_agents * config.num_envs
        self.packing = Packing(config.replay_capacity, config.num_envs, self.seeds, agent.spaces)
        self.transitions = GraphNStep(config.n_step, config.gamma)
        self.packed = tf.Variable(tf.zeros(self.packing.shape))
        self.running = tf.nest.map_structure(
            tf.Variable,
            {
                "state": tf.zeros((self.envs, env.state_size)),
                "length": tf.zeros(self.envs, tf.int32),
                "pending": self.transitions.start(self.envs, agent.spaces),
            },
        )
        self.program = tf.function(self._program, jit_compile=True)

    def run(
        self, plans: Sequence[Plan], steps: int
    ) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[dict[str, float]]]:
        """What `plans`, one for each seed, say:

        each seed's rewards [T, N] and ends [T, N] bool, and the metrics of its updates.
        """
        outcome, means = self.program(self._joined(plans), tf.constant(steps))
        reward, ended = np.split(outcome.numpy()[:steps], 2, axis=1)
        outcomes = zip(
            np.split(reward, self.seeds, axis=1),
            np.split(ended > 0.5, self.seeds, axis=1),
            strict=True,
        )
        return list(outcomes), named(means.numpy())

    def start(self, seed: int, uniform: np.ndarray) -> None:
        """Puts the environments of one seed into the first states that follow from `uniform` [N,
        random_size].
        """
        self.load({"running/state": self.env.initial(tf.constant(uniform)).numpy()}, seed)

    def arrays(self, seed: int) -> dict[str, np.ndarray]:
        """What is running, of one seed, by name."""
        return {
            name: np.split(variable.numpy(), self.seeds, axis=axis)[seed]
            for name, (variable, axis) in self._named().items()
        }

    def load(self, arrays: Mapping[str, np.ndarray], seed: int) -> None:
        """Sets what of `arrays` gave is there."""
        for name, (variable, axis) in self._named().items():
            if name in arrays:
                value = np.array(variable.numpy())
                np.split(value, self.seeds, axis=axis)[seed][...] = arrays[name]
                variable.assign(value)

    def _named(self) -> dict[str, tuple[tf.Variable, int]]:
        """Each variable, and the axis of its environments."""
        running = self.running
        return {
            "running/state": (running["state"], 0),
            "running/episode_length": (running["length"], 0),
        } | {f"windows/{name}": (variable, 1) for name, variable in running["pending"].items()}

    def _joined(self, plans: Sequence[Plan]) -> dict[str, tf.Tensor]:
        """One plan of all:

        where they differ, side by side; when updates are due, and where rows go, they agree on.
        """
        places = [self.packing.places(plan["places"], seed) for seed, plan in enumerate(plans)]
        joined = {
            name: np.concatenate([plan[name] for plan in plans], axis=1)
            for name in ("explore", "random", "fresh")
        }
        joined |= {
            "places": np.concatenate(places, axis=1),
            "slot": plans[0]["slot"],
            "due": plans[0]["due"],
        }
        return {name: tf.constant(column) for name, column in joined.items()}

    def _program(self, plan: dict[str, tf.Tensor], steps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns each step's rewards and ends, [T, 2KN], and the updates' metrics, [3, K]."""
        t, update, sums = tf.constant(0), tf.constant(0), tf.zeros((3, self.seeds))
        running = tf.nest.map_structure(tf.convert_to_tensor, self.running)
        packed = tf.convert_to_tensor(self.packed)
        outcome = tf.zeros((self.block_steps, 2 * self.envs))
        while t < steps:
            running, row, reward, ended = self._step(
                running, plan["explore"][t], plan["random"][t], plan["fresh"][t]
            )
            packed = tf.tensor_scatter_nd_update(
                packed, [[plan["slot"][t]]], self.packing.pack(row)
            )
            outcome = tf.tensor_scatter_nd_update(
                outcome, [[t]], tf.concat([reward, tf.cast(ended, tf.float32)], axis=0)[tf.newaxis]
            )
            last = update + plan["due"][t]
            while update < last:
                sums = gathered(
                    sums, self.agent.update(self.packing.batch(packed, plan["places"][update]))
                )
                update += 1
            t += 1
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self.running, running)
        self.packed.assign(packed)
        return outcome, averaged(sums, update)

    def _step(
        self, running: State, explore: tf.Tensor, random: tf.Tensor, fresh: tf.Tensor
    ) -> tuple[State, State, tf.Tensor, tf.Tensor]:
        """One step of each environment:

        what is running then, the rows for replay, rewards [KN] and ends [KN].
        """
        observation = self.env.observe(running["state"])
        greedy = tf.argmax(self.agent(observation), axis=1, output_type=tf.int32)
        action = tf.where(explore, random, greedy)
        state, reward, terminated = self.env.step(running["state"], action)
        length = running["length"] + 1
        truncated = length >= self.env.max_episode_steps
        row, pending = self.transitions.add(
            running["pending"],
            observation,
            action,
            reward,
            terminated,
            truncated,
            self.env.observe(state),
        )
        ended = terminated | truncated
        state = tf.where(ended[:, tf.newaxis], self.env.initial(fresh), state)
        return (
            {"state": state, "length": tf.where(ended, 0, length), "pending": pending},
            row,
            reward,
            ended,
        )
