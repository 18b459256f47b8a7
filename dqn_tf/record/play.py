"""Plays episodes and keeps every step of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from dqn_tf.config import seeding
from dqn_tf.envs.checked_env import CheckedEnv
from dqn_tf.record.behaviour import Behaviour

QUIET_SECONDS = 10.0  # between two messages on how far it is
DRAWN_STEPS = 256  # for so many steps at once, random numbers are drawn


class Episode:
    """The steps of one episode so far, and the generator that its actions are drawn from.

    `observations` and `masks` have one more entry than there are actions; there are no masks where
    the environment gives none.
    """

    def __init__(self, seed: int, number: int) -> None:
        self.number = number
        self.seed = seeding.episode_seed(seed, seeding.RECORDED, number)
        self.observations: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []
        self.actions: list[int] = []
        self.rewards: list[float] = []
        self.propensities: list[float] = []
        self.terminated = False
        self.is_done = False
        self._generator = np.random.default_rng((seed, seeding.RECORDED, number))
        self._drawn = np.empty((0, 2))

    def __len__(self) -> int:
        return len(self.actions)

    def uniform(self) -> np.ndarray:
        """Return two numbers from [0, 1) for the next step."""
        place = len(self) % DRAWN_STEPS
        if place == 0:
            self._drawn = self._generator.random((DRAWN_STEPS, 2))
        return self._drawn[place]

    def see(self, observation: np.ndarray, mask: np.ndarray | None) -> None:
        """Keep an observation and its mask."""
        self.observations.append(observation.copy())
        if mask is not None:
            self.masks.append(mask.copy())

    def cut(self, steps: int) -> None:
        """Leave out all but the first steps."""
        if steps < len(self):
            self.terminated = False
        for column in (self.actions, self.rewards, self.propensities):
            del column[steps:]
        del self.observations[steps + 1 :]
        del self.masks[steps + 1 :]


class Recorder:
    """Plays on several environments at once; what is recorded does not depend on how many.

    Every episode has its own seed and generator, and a number. Recorded are the first `episodes`,
    or, if those are None, the first `steps` in the order of the episodes' numbers.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        seed: int,
        episodes: int | None,
        steps: int | None,
        max_episode_steps: int,
    ) -> None:
        self._behaviour = behaviour
        self._seed = seed
        self._most_episodes = episodes
        self._most_steps = steps
        self._max_episode_steps = max_episode_steps
        self._episodes: list[Episode] = []
        self._steps = 0  # of all episodes

    def record(
        self, envs: Sequence[CheckedEnv], check: Callable[[], None], say: Callable[[str], None]
    ) -> list[Episode]:
        """Return the episodes. `check` is called before each step and may raise."""
        running: list[tuple[CheckedEnv, Episode]] = []
        next_message = time.monotonic() + QUIET_SECONDS
        for env in envs:
            self._start_next(env, running)
        while running:
            check()
            self._step(running)
            still_running = [(env, episode) for env, episode in running if not episode.is_done]
            for env, episode in running:
                if episode.is_done:
                    self._start_next(env, still_running)
            running = self._needed(still_running)
            if time.monotonic() > next_message:
                next_message += QUIET_SECONDS
                done = sum(episode.is_done for episode in self._episodes)
                say(f"recording: {done:,} episodes, {self._steps:,} steps")
        return self._recorded()

    def _start_next(self, env: CheckedEnv, running: list[tuple[CheckedEnv, Episode]]) -> None:
        """Start one more episode, if it may be needed."""
        number = len(self._episodes)
        if self._most_episodes is not None and number >= self._most_episodes:
            return
        if self._most_steps is not None and self._steps >= self._most_steps:
            return
        episode = Episode(self._seed, number)
        self._episodes.append(episode)
        episode.see(env.reset(episode.seed), env.mask)
        running.append((env, episode))

    def _step(self, running: Sequence[tuple[CheckedEnv, Episode]]) -> None:
        observation = np.stack([episode.observations[-1] for _, episode in running])
        mask = None
        if running[0][0].mask is not None:
            mask = np.array([episode.masks[-1] for _, episode in running])
        uniform = np.array([episode.uniform() for _, episode in running])
        self._steps += len(running)
        actions, propensities = self._behaviour.choose(observation, mask, uniform)
        for (env, _), action in zip(running, actions.tolist(), strict=True):
            env.begin_step(action)
        choices = zip(running, actions.tolist(), propensities.tolist(), strict=True)
        for (env, episode), action, propensity in choices:
            following, reward, terminated, truncated = env.step(action)
            episode.actions.append(action)
            episode.rewards.append(reward)
            episode.propensities.append(propensity)
            episode.see(following, env.mask)
            episode.terminated = terminated
            is_cut = len(episode) >= self._max_episode_steps
            episode.is_done = terminated or truncated or is_cut

    def _needed(
        self, running: list[tuple[CheckedEnv, Episode]]
    ) -> list[tuple[CheckedEnv, Episode]]:
        """Leave out the episodes whose further steps cannot be among those that are recorded."""
        if self._most_steps is None or self._steps < self._most_steps:
            return running
        steps = 0
        needed = set()
        for number, episode in enumerate(self._episodes):
            steps += len(episode)
            if steps >= self._most_steps:
                break
            needed.add(number)
        return [(env, episode) for env, episode in running if episode.number in needed]

    def _recorded(self) -> list[Episode]:
        if self._most_steps is None:
            return self._episodes
        recorded = []
        left = self._most_steps
        for episode in self._episodes:
            episode.cut(left)
            left -= len(episode)
            recorded.append(episode)
            if not left:
                break
        return recorded
