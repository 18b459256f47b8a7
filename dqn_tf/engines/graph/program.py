"""Environments, acting, replay and updates as one compiled TensorFlow program.

It serves one seed, or several that never meet. It is a function of its variables and of the numbers
that it is given: all randomness is drawn on the host. Wherever seeds and environments share an
axis, K seeds with N environments each, the first N places are the first seed's.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.agent.autograph import compile_loops
from dqn_tf.agent.dqn import DQN
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.engines.graph.environments import NativeEnv
from dqn_tf.engines.graph.portions import most_portions
from dqn_tf.engines.graph.replay import Packing
from dqn_tf.engines.graph.transitions import GraphNStep, Step, Windows

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass
class BlockInputs:
    """What the program needs to know of each step [T, ...] and update [U, ...] of a call.

    Attributes:
      explore: [T, N] bool, where the action is `random`.
      random: [T, N] int32, a random action.
      fresh: [T, N, random_size] float32 in [0, 1), of which first states are made.
      slot: [T] int32, the row of replay that the step is written to.
      due: [T] int32, the updates after the step.
      places: [U, B] int32, the transitions in each update's batch.
    """

    explore: np.ndarray
    random: np.ndarray
    fresh: np.ndarray
    slot: np.ndarray
    due: np.ndarray
    places: np.ndarray

    @classmethod
    def joined(cls, portions: Sequence["BlockInputs"], steps: int, updates: int) -> "BlockInputs":
        """Join portions that follow one another; fill up to so many steps and updates."""
        columns = {}
        for field in dataclasses.fields(cls):
            column = np.concatenate([getattr(portion, field.name) for portion in portions])
            length = updates if field.name == "places" else steps
            columns[field.name] = np.zeros((length, *column.shape[1:]), column.dtype)
            columns[field.name][: len(column)] = column
        return cls(**columns)


class SeedOutcome(NamedTuple):
    """What a call brought one seed: rewards [T, N], ends [T, N] bool, its updates' metrics."""

    reward: np.ndarray
    ended: np.ndarray
    metrics: dict[str, float]


class Running(NamedTuple):
    """What is under way: states [K · N, S], episodes' steps [K · N], n-step windows."""

    state: tf.Tensor
    length: tf.Tensor
    windows: Windows


class GraphProgram:
    """At most `most_steps` steps of all environments, each followed by the updates that are due.

    Those are `most_updates` at most.

    Holds what moves beside the agent: `running`, and `packed`, which is the contents of all
    replays, [rows, K · N · width].
    """

    def __init__(self, config: DQNConfig, agent: DQN, env: NativeEnv) -> None:
        self.agent = agent
        self.env = env
        portions = most_portions(config)
        self.most_steps = portions * config.block_steps
        self.most_updates = portions * config.most_updates
        self.seeds = agent.num_agents
        self.num_envs = agent.num_agents * config.num_envs  # K · N
        self.packing = Packing(config.replay_capacity, config.num_envs, self.seeds, agent.spaces)
        self.transitions = GraphNStep(config.n_step, config.gamma)
        self.packed = tf.Variable(tf.zeros(self.packing.shape))
        start = Running(
            state=tf.zeros((self.num_envs, env.state_size)),
            length=tf.zeros(self.num_envs, tf.int32),
            windows=self.transitions.start(self.num_envs, agent.spaces),
        )
        self.running = tf.nest.map_structure(tf.Variable, start)
        self.program = compile_loops(self._program, jit_compile=True)
        self._concrete: Callable[..., tuple[tf.Tensor, tf.Tensor]] | None = None

    def run(self, inputs: Sequence[BlockInputs], steps: int) -> list[SeedOutcome]:
        """Do a call of so many steps with the inputs of each seed."""
        joined, count = self._joined(inputs), tf.constant(steps)
        if self._concrete is None:
            # called directly, a concrete function takes half the time to enter
            self._concrete = self.program.get_concrete_function(joined, count)
        outcome, metrics = self._concrete(joined, count)
        reward, ended = np.split(outcome.numpy()[:steps], 2, axis=1)  # [T, K · N] each
        rewards = np.split(reward, self.seeds, axis=1)
        ends = np.split(ended > 0.5, self.seeds, axis=1)
        outcomes = zip(
            rewards, ends, self.agent.block_metrics.by_name(metrics.numpy()), strict=True
        )
        return [SeedOutcome(*seed_outcome) for seed_outcome in outcomes]

    def start(self, seed: int, uniform: np.ndarray) -> None:
        """Put one seed's environments into the first states of `uniform` [N, random_size]."""
        state = self.env.initial(tf.constant(uniform)).numpy()
        self.load({"running/state": state}, seed)

    def arrays(self, seed: int) -> Arrays:
        """Return what is running of one seed, by name."""
        return {
            name: np.split(variable.numpy(), self.seeds, axis=axis)[seed]
            for name, (variable, axis) in self._named().items()
        }

    def load(self, arrays: Mapping[str, np.ndarray], seed: int) -> None:
        """Restore those of one seed's arrays that are given."""
        for name, (variable, axis) in self._named().items():
            if name in arrays:
                contents = np.array(variable.numpy())
                np.split(contents, self.seeds, axis=axis)[seed][...] = arrays[name]
                variable.assign(contents)

    def _named(self) -> dict[str, tuple[tf.Variable, int]]:
        """Return each variable by its name in a checkpoint, and the axis of its environments."""
        named_variables = {
            "running/state": (self.running.state, 0),
            "running/episode_length": (self.running.length, 0),
        }
        for name, variable in self.running.windows._asdict().items():
            named_variables[f"windows/{name}"] = (variable, 1)
        return named_variables

    def _joined(self, inputs: Sequence[BlockInputs]) -> dict[str, tf.Tensor]:
        """Join the seeds' inputs side by side; they agree on when updates are due and on slots."""
        joined = {
            name: np.concatenate([getattr(seed_inputs, name) for seed_inputs in inputs], axis=1)
            for name in ("explore", "random", "fresh")
        }
        places = [
            self.packing.shared_places(seed_inputs.places, seed)
            for seed, seed_inputs in enumerate(inputs)
        ]
        joined["places"] = np.concatenate(places, axis=1)  # [U, K · B]
        joined["slot"] = inputs[0].slot
        joined["due"] = inputs[0].due
        return {name: tf.constant(column) for name, column in joined.items()}

    def _program(
        self, inputs: dict[str, tf.Tensor], steps: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Return rewards and ends of each step, [T, 2 · K · N], and metrics, [metrics, K]."""
        t = tf.constant(0)
        update = tf.constant(0)
        gathered = self.agent.block_metrics.start()  # [metrics, K]
        running = tf.nest.map_structure(tf.convert_to_tensor, self.running)
        packed = tf.convert_to_tensor(self.packed)  # [rows, K · N · width]
        outcome = tf.zeros((self.most_steps, 2 * self.num_envs))
        while t < steps:
            running, rows, reward, ended = self._step(
                running, inputs["explore"][t], inputs["random"][t], inputs["fresh"][t]
            )
            # one row [1, K · N · width] in the place of the oldest
            packed = tf.tensor_scatter_nd_update(
                packed, [[inputs["slot"][t]]], self.packing.pack(rows)
            )
            # one row [1, 2 · K · N] at t
            reward_and_end = tf.concat([reward, tf.cast(ended, tf.float32)], axis=0)
            outcome = tf.tensor_scatter_nd_update(outcome, [[t]], reward_and_end[tf.newaxis])
            last = update + inputs["due"][t]
            while update < last:
                batch = self.packing.batch(packed, inputs["places"][update])  # [K · B, ...]
                gathered = self.agent.block_metrics.add(gathered, self.agent.update(batch))
                update += 1
            t += 1
        tf.nest.map_structure(lambda variable, value: variable.assign(value), self.running, running)
        self.packed.assign(packed)
        return outcome, self.agent.block_metrics.reduce(gathered, update)

    def _step(
        self, running: Running, explore: tf.Tensor, random: tf.Tensor, fresh: tf.Tensor
    ) -> tuple[Running, dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Step each environment once.

        Returns what is running then, the rows for replay, rewards [K · N] and ends [K · N] bool.
        """
        observation = self.env.observe(running.state)
        greedy = tf.argmax(self.agent(observation), axis=1, output_type=tf.int32)
        action = tf.where(explore, random, greedy)  # [K · N]
        state, reward, terminated = self.env.step(running.state, action)
        length = running.length + 1
        truncated = length >= self.env.max_episode_steps
        step = Step(
            observation=observation,
            action=action,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            next_observation=self.env.observe(state),
        )
        rows, windows = self.transitions.add(running.windows, step)
        ended = terminated | truncated
        state = tf.where(ended[:, tf.newaxis], self.env.initial(fresh), state)
        length = tf.where(ended, 0, length)
        return Running(state, length, windows), rows, reward, ended
