"""Collectors: steps of some environments under given weights.

A collector is where experience comes from. The host engine asks for a block of steps, learns, and
hands over the new weights. `LocalCollector` steps the environments in this process. A collector of
one's own is `--collector=my_module:MyCollector`: see `make_collector` for how it is made. NumPy
only, so that a process that only collects need not load TensorFlow.

A block must be a function of the weights, the seeds of the episodes, the numbers drawn from
`generator`, and the episodes under way. Then the same seed gives the same run, and a checkpoint
needs no environment to be saved.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.experience import exploration
from dqn_tf.experience.steps import Steps
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import import_named

LOCAL = "local"


class QFunction(Protocol):
    """Q-values and choices under the newest weights that it was given."""

    def q_values(
        self, observation: np.ndarray, generator: np.random.Generator | None = None
    ) -> np.ndarray:
        """Return Q-values: [N, *shape] → [N, A] float32.

        With a generator, noisy layers draw their noise from it.
        """

    def greedy_action(
        self,
        observation: np.ndarray,
        mask: np.ndarray | None = None,
        generator: np.random.Generator | None = None,
    ) -> np.ndarray:
        """Return the best actions [N] int64, counted from 0, as the run chooses.

        It is the largest Q-value's among the legal actions, `mask` [N, A] bool, and with --support
        among those that the data support. With --q_weight the behaviour's log-probability counts,
        too.
        """

    def behaviour(self, observation: np.ndarray) -> np.ndarray:
        """Return the behaviour head's logits: [N, *shape] → [N, A] float32.

        Only of a run that learns the behaviour of logged data.
        """

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Take over the weights, one after the other in one array [P] float32.

        None stands for the agent's own, as they are now.
        """


class Collector(Protocol):
    """Takes steps of environments and chooses their actions."""

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """Take `length` steps of each environment.

        `epsilon` [length, N] is the probability of a random action at each step. The steps may be
        views that hold until the next call. Raises UserError if an environment cannot be used.
        """

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """Act with these weights from now on, as in `QFunction.refresh`."""

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return what `restore` needs, as JSON values and as arrays, by names of its own."""

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[int]:
        """Take over what `state` returned, among the rest of a checkpoint.

        Returns the environments whose episodes under way could not be repeated.
        """

    def close(self) -> None:
        """Close what was opened."""


@dataclasses.dataclass
class Loan:
    """Environments of training that are lent for a while.

    `differing` are, once they are given back, those that did not repeat their running episode.
    """

    envs: list[CheckedEnv]
    differing: list[int] = dataclasses.field(default_factory=list)


class LocalCollector:
    """Steps Gymnasium environments in this process, epsilon-greedy over legal actions.

    Owns the environments, their newest observations, and what explores.
    """

    def __init__(
        self,
        config: DQNConfig,
        make_env: Callable[[], gym.Env],
        q_function: QFunction,
        generator: np.random.Generator,
    ) -> None:
        self.env = registry.vector_env(config, make_env)
        self.observation, infos = self.env.reset()  # [N, *shape]
        self.action_mask = infos.get("action_mask")  # [N, A] bool, None without masks
        self._q_function = q_function
        self._generator = generator
        # The noise of noisy layers explores: it is drawn for each step.
        self._noise = generator if config.noisy else None
        self._explore_with = config.explore_with
        self._support = config.exploration_support
        spaces = dataclasses.replace(self.env.spaces, masked=self.action_mask is not None)
        self._actions = spaces.actions
        self._steps = Steps.empty(config.block_steps, config.num_envs, spaces)

    def collect(self, length: int, epsilon: np.ndarray) -> Steps:
        """As described in `Collector`."""
        steps = self._steps.part(slice(length))
        explore, draw = exploration.draw_exploration(self._generator, epsilon)  # [T, N] each
        random_actions = exploration.random_action(draw, self._actions)  # [T, N]
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
                )  # [N]
                if any_explores[t]:
                    action = np.where(explore[t], random_actions[t], action)
            steps.observation[t] = observation
            steps.action[t] = action
            observation, reward, terminated, truncated, infos = self.env.step(action)
            steps.env_reward[t] = reward
            steps.terminated[t] = terminated
            steps.truncated[t] = truncated
            steps.next_observation[t] = observation
            if infos:
                self._store_final_observations(steps, t, infos)
        self.observation = observation
        steps.env_ended = steps.ended
        steps.reward, steps.terminated = self.env.learning_signal(
            steps.env_reward, steps.terminated
        )
        return steps

    def refresh(self, weights: np.ndarray | None = None) -> None:
        """As described in `Collector`."""
        self._q_function.refresh(weights)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the running episodes: numbers, which decide the seeds, and actions so far."""
        episodes, actions, observation = self.env.state()
        arrays = {"running/observation": observation}
        for index, taken in enumerate(actions):
            arrays[f"running/actions/{index}"] = taken
        return {"running_episode": episodes}, arrays

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[int]:
        """Play the running episodes back, as described in `Collector`."""
        actions = [arrays[f"running/actions/{index}"] for index in range(self.env.num_envs)]
        self.observation, differing = self.env.restore(
            values["running_episode"],
            actions,
            arrays["running/observation"],
            arrays.get("running/return"),
        )
        self.action_mask = self.env.action_mask
        return differing

    @contextlib.contextmanager
    def lend(self, returns: np.ndarray) -> Iterator[Loan]:
        """Lend the environments for an evaluation, and play their running episodes back after it.

        `returns` [N] are the sums of these episodes' rewards. A collector of your own may have this
        method; without it, evaluations need an environment of their own.
        """
        episodes, actions, observation = self.env.state()
        loan = Loan(self.env.envs)
        rows = [env.into for env in loan.envs]
        for env in loan.envs:
            env.into = None  # what is shown to others is not the training's
        try:
            yield loan
        finally:
            for env, row in zip(loan.envs, rows, strict=True):
                env.into = row
        self.observation, loan.differing = self.env.restore(episodes, actions, observation, returns)
        self.action_mask = self.env.action_mask

    def close(self) -> None:
        """Close the environments."""
        self.env.close()

    def _choose(self, observation: np.ndarray, explore: np.ndarray, draw: np.ndarray) -> np.ndarray:
        """Return actions [N] that the behaviour gives where `explore`, and greedy ones elsewhere.

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
        """Draw actions [N] from the behaviour, or uniformly from those that it supports."""
        if self._explore_with == "behaviour":
            return exploration.drawn_action(logits, draw, legal)
        supported = exploration.supported_actions(logits, self._support, legal)
        return exploration.random_action(draw, self._actions, supported)

    def _store_final_observations(self, steps: Steps, t: int, infos: dict[str, Any]) -> None:
        """Store the masks, and the true last observations of the episodes that ended at step t.

        There the environment's own observation is the next episode's (SAME_STEP).
        """
        self.action_mask = infos.get("action_mask")
        if self.action_mask is not None:
            steps.next_action_mask[t] = self.action_mask
        if "_final_obs" not in infos:
            return
        for index in infos["_final_obs"].nonzero()[0]:
            steps.next_observation[t, index] = infos["final_obs"][index]
            if self.action_mask is not None:
                steps.next_action_mask[t, index] = infos["final_action_mask"][index]


def find_collector(config: DQNConfig) -> Callable[..., Collector]:
    """Return what makes the configured collector. Raises UserError if it cannot be imported."""
    if config.collector == LOCAL:
        return LocalCollector
    return import_named("collector", config.collector)


def make_collector(
    config: DQNConfig,
    make_env: Callable[[], gym.Env],
    q_function: QFunction,
    generator: np.random.Generator,
) -> Collector:
    """Make the configured collector: `MyCollector(config, make_env, q_function, generator)`.

    `make_env` makes one environment; `q_function` tells the Q-values of observations; every random
    number comes from `generator`, which a checkpoint saves. Raises UserError if it cannot be
    imported or made.
    """
    make = find_collector(config)
    try:
        return make(config, make_env, q_function, generator)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"--collector={config.collector}: making it failed: {type(error).__name__}: {error}"
        ) from error
