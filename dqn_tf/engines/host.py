"""The host engine: Gymnasium environments, stepped in Python; updates in one compiled call per
block.

A block is `updates_per_block` updates and the environment steps that they are due for. Its steps
are taken first, then its batches are drawn, then all its updates run in one call, so the price of
entering TensorFlow is paid once a block. With `updates_per_block=1` this is the loop of the
textbook.
"""

import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np

from dqn_tf.agent.dqn import DQN, Learned
from dqn_tf.config.dqn_config import DQNConfig, is_atari
from dqn_tf.engines.engine import Block, Engine
from dqn_tf.engines.prefetch import AheadLearner
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import exploration
from dqn_tf.experience.frames import Frames, numbered_spaces, ring_size
from dqn_tf.experience.replay import PrioritizedReplay, UniformReplay
from dqn_tf.experience.transitions import NStep, Steps, columns


class HostEngine(Engine):
    """Collects with epsilon-greedy in Gymnasium environments, learns from replay.

    Owns the environments' side of a run.
    """

    def __init__(
        self,
        config: DQNConfig,
        agent: DQN,
        env: gym.vector.VectorEnv,
        generators: dict[str, np.random.Generator],
    ) -> None:
        super().__init__(config, agent, generators)
        self.env = env
        self.frames = make_frames(config, agent.spaces)
        kept = agent.spaces if self.frames is None else numbered_spaces(agent.spaces)
        self.replay = make_replay(config, columns(kept), generators["replay"], self.frames)
        self.transitions = NStep(config.n_step, config.gamma, env.num_envs, kept)
        self.ahead = (
            AheadLearner(agent, self.replay, config.batch_size) if self.frames is not None else None
        )
        self.steps = Steps.empty(self.config.block_steps, env.num_envs, agent.spaces)
        self.observation, infos = env.reset()
        self.action_mask = infos.get("action_mask")

    def run_block(self) -> Block:
        """Steps, then updates.

        Raises UserError on a value that is not finite, before it reaches replay or a checkpoint.
        """
        steps, before = self._collect(), self.env_step
        steps.require_finite(before)
        self.env_step += steps.action.size
        self.replay.add(self.transitions.add(self._as_learned(steps)))
        metrics = {}
        if count := self._updates_due(steps.action.size):
            self.replay.beta = priority_beta(self.config, self.env_step)
            metrics, weights, errors = self._learn(count)
            self._require_finite(metrics)
            if errors is not None:
                self.replay.update_priorities(errors)
            self.updates += count
            self.actor.refresh(weights)
        return Block(self._finished_episodes(steps.reward, steps.ended, before), metrics)

    def _learn(self, updates: int) -> Learned:
        if self.ahead is not None:
            return self.ahead.learn(self.config.most_updates, updates)
        return self.agent.learn(
            self.replay.sample(self.config.most_updates, self.config.batch_size), updates
        )

    def _as_learned(self, steps: Steps) -> Steps:
        """What learning is to see of the steps:

        an Atari game's rewards and lives as configured, frames as numbers.
        """
        if is_atari(self.config.env):
            if self.config.clip_rewards:
                steps = dataclasses.replace(steps, reward=steps.reward.clip(-1.0, 1.0))
            lost = self.env.lives_lost()
            if self.config.episodic_life:
                steps = dataclasses.replace(steps, terminated=steps.terminated | lost)
        return steps if self.frames is None else self.frames.numbered(steps)

    def _collect(self) -> Steps:
        generator, steps = (
            self.generators["exploration"],
            self.steps.part(slice(self._steps_left())),
        )
        moments = self.env_step + np.arange(steps.action.size).reshape(steps.action.shape)
        explore, draw = exploration.plan(generator, self.epsilon(moments))
        random = exploration.random_action(draw, self.agent.spaces.actions)
        any_random, all_random = explore.any(axis=1).tolist(), explore.all(axis=1).tolist()
        noise, observation = generator if self.config.noisy else None, self.observation
        for t in range(len(moments)):
            if self.action_mask is not None:
                steps.action_mask[t] = self.action_mask
                random[t] = exploration.random_action(
                    draw[t], self.agent.spaces.actions, self.action_mask
                )
            if all_random[t]:
                action = random[t]
            else:
                action = exploration.greedy_action(
                    self.actor.q_values(observation, noise), self.action_mask
                )
                if any_random[t]:
                    action = np.where(explore[t], random[t], action)
            steps.observation[t], steps.action[t] = observation, action
            observation, steps.reward[t], steps.terminated[t], steps.truncated[t], infos = (
                self.env.step(action)
            )
            steps.next_observation[t] = observation
            if infos:
                self._take_infos(steps, t, infos)
        self.observation = observation
        return steps

    def _take_infos(self, steps: Steps, t: int, infos: dict[str, Any]) -> None:
        """The masks, and the true last observations:

        where an episode ended, the environment's own are the next episode's (SAME_STEP).
        """
        self.action_mask = infos.get("action_mask")
        if self.action_mask is not None:
            steps.next_action_mask[t] = self.action_mask
        for index in infos["_final_obs"].nonzero()[0] if "_final_obs" in infos else ():
            steps.next_observation[t, index] = infos["final_obs"][index]
            if self.action_mask is not None:
                steps.next_action_mask[t, index] = infos["final_action_mask"][index]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Everything that moves, as JSON values and as arrays:

        what `restore` needs to go on as if never stopped.
        """
        values, arrays = super().state()
        episode, actions, observation = self.env.state()
        arrays |= {"running/observation": observation} | {
            f"running/actions/{index}": taken for index, taken in enumerate(actions)
        }
        arrays |= {f"windows/{name}": array for name, array in self.transitions.state().items()}
        return values | {"replay": self.replay.state(), "running_episode": episode}, arrays

    def restore(
        self,
        values: dict[str, Any],
        arrays: dict[str, np.ndarray],
        rows: dict[str, np.ndarray] | None,
    ) -> list[int]:
        """As of `Engine`; the running episodes are played back."""
        super().restore(values, arrays, rows)
        self.actor.refresh()
        if rows is not None:
            self.replay.restore(rows, values["replay"])
        # with a lost replay went the frames of which unfinished windows hold numbers
        if rows is not None or self.frames is None:
            windows = {
                name.removeprefix("windows/"): array
                for name, array in arrays.items()
                if name.startswith("windows/")
            }
            self.transitions.restore(windows)
        actions = [arrays[f"running/actions/{index}"] for index in range(self.env.num_envs)]
        self.observation, differing = self.env.restore(
            values["running_episode"], actions, arrays["running/observation"]
        )
        self.action_mask = self.env.action_mask
        return differing

    def close(self) -> None:
        """Closes the environments, and ends the helper thread."""
        self.env.close()
        if self.ahead is not None:
            self.ahead.close()


def make_frames(config: DQNConfig, spaces: Spaces) -> Frames | None:
    """Where the frames of stacked observations are kept; None for others."""
    return (
        Frames(
            ring_size(config.replay_capacity, config.num_envs, config.n_step, spaces),
            config.num_envs,
            spaces,
        )
        if spaces.stack
        else None
    )


def make_replay(
    config: DQNConfig,
    columns: dict[str, tuple[tuple[int, ...], str]],
    generator: np.random.Generator,
    frames: Frames | None = None,
) -> UniformReplay:
    """The configured replay."""
    if config.prioritized:
        return PrioritizedReplay(
            config.replay_capacity, columns, generator, config.priority_alpha, frames=frames
        )
    return UniformReplay(config.replay_capacity, columns, generator, frames)


def priority_beta(config: DQNConfig, env_step: int) -> float:
    """Exponent of the importance weights:

    linearly to 1 at the run's last step (Schaul et al. 2016, section 3.4).
    """
    return config.priority_beta_start + (1.0 - config.priority_beta_start) * min(
        1.0, env_step / config.total_steps
    )
