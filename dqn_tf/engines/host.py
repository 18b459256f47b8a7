"""The host engine: Gymnasium environments, stepped in Python; updates in one compiled call per block.

A block is `updates_per_block` updates and the environment steps that they are due for. Its steps are taken
first, then its batches are drawn, then all its updates run in one call, so the price of entering TensorFlow
is paid once a block. With `updates_per_block=1` this is the loop of the textbook.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import tensorflow as tf

from dqn_tf import exploration
from dqn_tf.acting import make_actor
from dqn_tf.agent import DQN
from dqn_tf.config import DQNConfig
from dqn_tf.errors import UserError
from dqn_tf.replay import UniformReplay
from dqn_tf.transitions import Steps, columns, transitions


class Episode(NamedTuple):
    """One finished episode of training."""

    env_step: int
    episode_return: float
    episode_length: int


@dataclasses.dataclass
class Block:
    """What one block brought: finished episodes, and the mean metrics of its updates (none in warm-up)."""

    episodes: list[Episode]
    metrics: dict[str, float]


class HostEngine:
    """Collects with epsilon-greedy, learns from replay, counts. Owns the environments' side of a run."""

    def __init__(self, config: DQNConfig, agent: DQN, env: gym.vector.VectorEnv,
                 generators: dict[str, np.random.Generator]) -> None:
        self.config, self.agent, self.env, self.generators = config, agent, env, generators
        self.actor = make_actor(agent)
        shape, dtype = agent.spaces.observation_shape, agent.spaces.observation_dtype
        self.replay = UniformReplay(config.replay_capacity, columns(shape, dtype), generators["replay"])
        length = math.ceil(config.updates_per_block * config.env_steps_per_update / env.num_envs)
        self.steps = Steps.empty(max(1, length), env.num_envs, shape, dtype)
        self.most_updates = math.ceil(len(self.steps.action) * env.num_envs / config.env_steps_per_update)
        self.env_step, self.updates, self.episodes = 0, 0, 0
        self.learning_starts = config.warmup_env_steps
        self.unlearned = 0.0  # environment steps taken since learning started and not yet paid for with an update
        self.running_return = np.zeros(env.num_envs)
        self.running_length = np.zeros(env.num_envs, np.int64)
        self.observation, _ = env.reset()

    def run_block(self) -> Block:
        """Steps, then updates. Raises UserError on a value that is not finite, before it reaches replay or a checkpoint."""
        steps, before = self._collect(), self.env_step
        steps.require_finite(before)
        self.env_step += steps.action.size
        self.replay.add(transitions(steps, self.config.gamma))
        metrics = {}
        if count := self._updates_due(steps.action.size):
            batches = self.replay.sample(self.most_updates, self.config.batch_size)
            metrics = {name: float(value) for name, value in self.agent.learn(batches, tf.constant(count)).items()}
            self._require_finite(metrics)
            self.updates += count
            self.actor.refresh()
        return Block(self._finished_episodes(steps, before), metrics)

    def epsilon(self, env_step: int | np.ndarray) -> np.ndarray:
        """Exploration rate at an environment step."""
        config = self.config
        return exploration.linear_epsilon(np.asarray(env_step), config.epsilon_start, config.epsilon_end, config.epsilon_decay_env_steps)

    def _collect(self) -> Steps:
        envs = self.env.num_envs
        length = min(len(self.steps.action), math.ceil((self.config.total_steps - self.env_step) / envs))
        steps = Steps(**{name: column[:length] for name, column in vars(self.steps).items()})
        moments = self.env_step + np.arange(length * envs).reshape(length, envs)
        explore, random_action = exploration.plan(self.generators["exploration"], self.epsilon(moments), self.agent.spaces.actions)
        for t in range(length):
            action = random_action[t]
            if not explore[t].all():
                greedy = self.actor.q_values(self.observation).argmax(axis=1)
                action = np.where(explore[t], action, greedy)
            steps.observation[t], steps.action[t] = self.observation, action
            self.observation, steps.reward[t], steps.terminated[t], steps.truncated[t], infos = self.env.step(action)
            steps.next_observation[t] = self.observation
            if infos:  # SAME_STEP autoreset: the true last observations stand here
                for index in infos["_final_obs"].nonzero()[0]:
                    steps.next_observation[t, index] = infos["final_obs"][index]
        return steps

    def _updates_due(self, env_steps: int) -> int:
        """Updates that the newest `env_steps` steps, and what was left over before them, pay for."""
        self.unlearned += min(env_steps, max(0, self.env_step - self.learning_starts))
        # Rounded down but for a hair: 3 steps at 0.1 are 30 updates, though 3 // 0.1 is 29.
        count = int(self.unlearned / self.config.env_steps_per_update + 1e-6)
        self.unlearned = max(0.0, self.unlearned - count * self.config.env_steps_per_update)
        return count

    def _require_finite(self, metrics: dict[str, float]) -> None:
        if not all(map(math.isfinite, metrics.values())):
            raise UserError(f"Learning broke at environment step {self.env_step}: loss {metrics['loss']}, largest gradient norm "
                            f"{metrics['gradient_norm']}. Lower --learning_rate or --max_gradient_norm, or scale the rewards.")

    def _finished_episodes(self, steps: Steps, before: int) -> list[Episode]:
        finished = []
        start = np.zeros(steps.action.shape[1], np.int64)
        for t, index in np.argwhere(steps.ended).tolist():
            episode_return = self.running_return[index] + steps.reward[start[index]:t + 1, index].sum(dtype=np.float64)
            length = self.running_length[index] + t + 1 - start[index]
            finished.append(Episode(before + t * len(start) + index + 1, float(episode_return), int(length)))
            self.running_return[index], self.running_length[index], start[index] = 0.0, 0, t + 1
        for index, first in enumerate(start):
            self.running_return[index] += steps.reward[first:, index].sum(dtype=np.float64)
            self.running_length[index] += len(steps.reward) - first
        self.episodes += len(finished)
        return finished

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that moves, as JSON values and as arrays: what `restore` needs to go on as if never stopped."""
        episode, actions, observation = self.env.state()
        values = {"env_step": self.env_step, "updates": self.updates, "episodes": self.episodes,
                  "learning_starts": self.learning_starts, "unlearned": self.unlearned,
                  "replay_added": self.replay.added, "replay_capacity": self.replay.capacity, "running_episode": episode,
                  "generators": {name: generator.bit_generator.state for name, generator in self.generators.items()}}
        arrays = {"running/observation": observation, "running/return": self.running_return, "running/length": self.running_length}
        arrays |= {f"running/actions/{index}": taken for index, taken in enumerate(actions)}
        return values, arrays | self.agent.arrays()

    def restore(self, values: dict[str, Any], arrays: dict[str, np.ndarray], rows: dict[str, np.ndarray] | None) -> list[int]:
        """Takes over what `state` gave and the replay's rows; returns the environments that did not repeat their episode.

        With `rows` None the replay starts empty, and learning waits until the warm-up's number of steps is collected anew.
        """
        self.env_step, self.updates, self.episodes = values["env_step"], values["updates"], values["episodes"]
        self.learning_starts, self.unlearned = values["learning_starts"], values["unlearned"] % self.config.env_steps_per_update
        for name, state in values["generators"].items():
            self.generators[name].bit_generator.state = state
        self.running_return[:], self.running_length[:] = arrays["running/return"], arrays["running/length"]
        self.agent.load_arrays(arrays)
        self.actor.refresh()
        if rows is None:
            self.learning_starts, self.unlearned = self.env_step + self.config.warmup_env_steps, 0.0
        else:
            self.replay.restore(rows, values["replay_added"], values["replay_capacity"])
        actions = [arrays[f"running/actions/{index}"] for index in range(self.env.num_envs)]
        self.observation, differing = self.env.restore(values["running_episode"], actions, arrays["running/observation"])
        return differing
