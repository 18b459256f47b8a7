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
from dqn_tf.replay import PrioritizedReplay, UniformReplay
from dqn_tf.transitions import NStep, Steps, columns


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
        self.replay = make_replay(config, columns(agent.spaces), generators["replay"])
        self.transitions = NStep(config.n_step, config.gamma, env.num_envs, agent.spaces)
        length = math.ceil(config.updates_per_block * config.env_steps_per_update / env.num_envs)
        self.steps = Steps.empty(max(1, length), env.num_envs, agent.spaces)
        self.most_updates = math.ceil(len(self.steps.action) * env.num_envs / config.env_steps_per_update)
        self.env_step, self.updates, self.episodes = 0, 0, 0
        self.learning_starts = config.warmup_env_steps
        self.unlearned = 0.0  # environment steps taken since learning started and not yet paid for with an update
        self.running_return = np.zeros(env.num_envs)
        self.running_length = np.zeros(env.num_envs, np.int64)
        self.observation, infos = env.reset()
        self.action_mask = infos.get("action_mask")

    def run_block(self) -> Block:
        """Steps, then updates. Raises UserError on a value that is not finite, before it reaches replay or a checkpoint."""
        steps, before = self._collect(), self.env_step
        steps.require_finite(before)
        self.env_step += steps.action.size
        self.replay.add(self.transitions.add(steps))
        metrics = {}
        if count := self._updates_due(steps.action.size):
            self.replay.beta = priority_beta(self.config, self.env_step)
            learned = self.agent.learn(self.replay.sample(self.most_updates, self.config.batch_size), tf.constant(count))
            errors = learned.pop("error", None)
            metrics = {name: float(value) for name, value in learned.items()}
            self._require_finite(metrics)
            if errors is not None:
                self.replay.update_priorities(errors.numpy()[:count])
            self.updates += count
            self.actor.refresh()
        return Block(self._finished_episodes(steps, before), metrics)

    def epsilon(self, env_step: int | np.ndarray) -> np.ndarray:
        """Exploration rate at an environment step."""
        return exploration.epsilon(self.config, np.asarray(env_step))

    def _collect(self) -> Steps:
        envs, generator = self.env.num_envs, self.generators["exploration"]
        steps = self.steps.part(slice(min(len(self.steps.action), math.ceil((self.config.total_steps - self.env_step) / envs))))
        moments = self.env_step + np.arange(steps.action.size).reshape(steps.action.shape)
        explore, draw = exploration.plan(generator, self.epsilon(moments))
        noise = generator if self.config.noisy else None
        for t in range(len(moments)):
            action = exploration.random_action(draw[t], self.agent.spaces.actions, self.action_mask)
            if not explore[t].all():
                greedy = exploration.greedy_action(self.actor.q_values(self.observation, noise), self.action_mask)
                action = np.where(explore[t], action, greedy)
            steps.observation[t], steps.action[t] = self.observation, action
            if self.action_mask is not None:
                steps.action_mask[t] = self.action_mask
            self.observation, steps.reward[t], steps.terminated[t], steps.truncated[t], infos = self.env.step(action)
            self.action_mask = infos.get("action_mask")
            steps.next_observation[t] = self.observation
            if self.action_mask is not None:
                steps.next_action_mask[t] = self.action_mask
            for index in infos.get("_final_obs", np.zeros(0)).nonzero()[0]:  # SAME_STEP autoreset: the true last ones stand there
                steps.next_observation[t, index] = infos["final_obs"][index]
                if self.action_mask is not None:
                    steps.next_action_mask[t, index] = infos["final_action_mask"][index]
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
                  "replay": self.replay.state(), "running_episode": episode,
                  "generators": {name: generator.bit_generator.state for name, generator in self.generators.items()}}
        arrays = {"running/observation": observation, "running/return": self.running_return, "running/length": self.running_length}
        arrays |= {f"running/actions/{index}": taken for index, taken in enumerate(actions)}
        arrays |= {f"windows/{name}": array for name, array in self.transitions.state().items()}
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
        self.transitions.restore({name.removeprefix("windows/"): array for name, array in arrays.items() if name.startswith("windows/")})
        self.agent.load_arrays(arrays)
        self.actor.refresh()
        if rows is None:
            self.learning_starts, self.unlearned = self.env_step + self.config.warmup_env_steps, 0.0
        else:
            self.replay.restore(rows, values["replay"])
        actions = [arrays[f"running/actions/{index}"] for index in range(self.env.num_envs)]
        self.observation, differing = self.env.restore(values["running_episode"], actions, arrays["running/observation"])
        self.action_mask = self.env.action_mask
        return differing


def make_replay(config: DQNConfig, columns: dict[str, tuple[tuple[int, ...], str]], generator: np.random.Generator) -> UniformReplay:
    """The configured replay."""
    if config.prioritized:
        return PrioritizedReplay(config.replay_capacity, columns, generator, config.priority_alpha)
    return UniformReplay(config.replay_capacity, columns, generator)


def priority_beta(config: DQNConfig, env_step: int) -> float:
    """Exponent of the importance weights: linearly to 1 at the run's last step (Schaul et al. 2016, section 3.4)."""
    return config.priority_beta_start + (1.0 - config.priority_beta_start) * min(1.0, env_step / config.total_steps)
