"""Shards: environments that are acted for together, the unit in which steps are taken.

With NumPy the bits of a row's Q-values depend on how many rows are multiplied at once. So a run has
shards of a fixed size. What a shard does in a block is a function of the weights, the numbers that
were drawn for it beforehand, and its running episodes: it is the same in any process.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.vector import StepRow
from dqn_tf.experience import exploration
from dqn_tf.experience.q_function import QFunction
from dqn_tf.experience.running_episodes import RunningEpisodes
from dqn_tf.experience.steps import Steps
from dqn_tf.support.closing import closed_on_error


class ShardNumbers(NamedTuple):
    """The random numbers of one block of a shard, which explore."""

    explore: np.ndarray  # where to, [T, n] bool
    draw: np.ndarray  # which action then, [T, n] float64 in [0, 1)
    # of the noise of noisy layers, which is drawn for each step: a seed, or the run's generator
    noise: int | np.random.Generator | None


def draw_numbers(
    config: DQNConfig, generator: np.random.Generator, epsilon: np.ndarray
) -> list[ShardNumbers]:
    """Draw the numbers of a block for each shard; `epsilon` [T, N] as in `Collector.collect`."""
    explore, draw = exploration.draw_exploration(generator, epsilon)  # [T, N] each
    noise: list[int | np.random.Generator | None] = [None] * config.shards
    if config.noisy and config.lag == 0 and config.shards == 1:
        noise = [generator]
    elif config.noisy:
        noise = list(generator.integers(2**63, size=config.shards).tolist())
    columns = [slice(envs.start, envs.stop) for envs in config.shard_ranges]
    return [
        ShardNumbers(explore[:, envs], draw[:, envs], shard_noise)
        for envs, shard_noise in zip(columns, noise, strict=True)
    ]


class Shard:
    """Some of a run's environments, their newest observations, and what acts for them.

    `envs` are their numbers among all.
    """

    def __init__(
        self,
        config: DQNConfig,
        make_env: Callable[[], gym.Env],
        q_function: QFunction,
        number: int,
    ) -> None:
        self.envs = config.shard_ranges[number]
        self.env = registry.vector_env(config, make_env, self.envs)
        with closed_on_error() as opened:
            opened.callback(self.env.close)
            self.observation, infos = self.env.reset()  # [n, *shape]
        self.action_mask = infos.get("action_mask")  # [n, A] bool, None without masks
        self._q_function = q_function
        self._explore_with = config.explore_with
        self._support = config.exploration_support
        self._noise: np.random.Generator | None = None
        spaces = dataclasses.replace(self.env.spaces, masked=self.action_mask is not None)
        self._actions = spaces.actions
        self._steps = Steps.empty(config.block_steps, len(self.envs), spaces)
        self._rows = [self._row(t) for t in range(config.block_steps)]  # views of the steps

    def collect(self, numbers: ShardNumbers) -> Steps:
        """Take the steps of a block, [T, n]. They are views that hold until the next call."""
        explore, draw, noise = numbers
        # without a seed there is no noise: a generator stays as it is
        self._noise = None if noise is None else np.random.default_rng(noise)
        length = len(draw)
        steps = self._steps.part(slice(length))
        random_actions = exploration.random_action(draw, self._actions)  # [T, n]
        any_explores = np.any(explore, axis=1).tolist()
        all_explore = np.all(explore, axis=1).tolist()
        observation = self.observation
        for t in range(length):
            if self.action_mask is not None:
                steps.action_mask[t] = self.action_mask
                random_actions[t] = exploration.random_action(
                    draw[t], self._actions, self.action_mask
                )
            if self._explore_with != "uniform":
                action = self._choose(observation, explore[t], draw[t])
            elif all_explore[t]:
                action = random_actions[t]
            else:
                action = self._q_function.greedy_action(
                    observation, self.action_mask, self._noise
                )  # [n]
                if any_explores[t]:
                    action = np.where(explore[t], random_actions[t], action)
            steps.observation[t] = observation
            steps.action[t] = action
            observation = self.env.step_into(self._rows[t], action)
            if self.action_mask is not None:
                self.action_mask = self.env.action_mask
        self.observation = observation
        steps.env_ended = steps.ended
        steps.reward, steps.terminated = self.env.learning_signal(
            steps.env_reward, steps.terminated
        )
        return steps

    def running(self) -> RunningEpisodes:
        """Return the episodes under way, without their returns."""
        return RunningEpisodes(*self.env.state())

    def play_back(self, running: RunningEpisodes) -> list[int]:
        """Play episodes back; return the numbers of the environments that did not repeat theirs."""
        self.observation, differing = self.env.restore(
            running.episodes, running.actions, running.observation, running.returns
        )
        self.action_mask = self.env.action_mask
        return [self.envs[index] for index in differing]

    def _row(self, t: int) -> StepRow:
        steps = self._steps
        return StepRow(
            steps.env_reward[t],
            steps.terminated[t],
            steps.truncated[t],
            steps.next_observation[t],
            steps.next_action_mask[t],
        )

    def _choose(self, observation: np.ndarray, explore: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Return actions [n] that the behaviour gives where `explore`, and greedy ones elsewhere.

        No row is computed twice.
        """
        action = np.zeros(len(explore), np.int64)
        mask = self.action_mask
        for rows in (np.flatnonzero(explore), np.flatnonzero(~explore)):
            if not len(rows):
                continue
            legal = None if mask is None else mask[rows]
            if explore[rows[0]]:
                logits = self._q_function.behaviour(observation[rows])
                action[rows] = self._explored(logits, draw[rows], legal)
            else:
                action[rows] = self._q_function.greedy_action(observation[rows], legal, self._noise)
        return action

    def _explored(
        self, logits: np.ndarray, draw: np.ndarray, legal: np.ndarray | None
    ) -> np.ndarray:
        """Draw actions [n] from the behaviour, or uniformly from those that it supports."""
        if self._explore_with == "behaviour":
            return exploration.drawn_action(logits, draw, legal)
        supported = exploration.supported_actions(logits, self._support, legal)
        return exploration.random_action(draw, self._actions, supported)
