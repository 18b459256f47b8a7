"""Episodes of an environment's own behaviour as logged data, which `--data` reads."""

from __future__ import annotations

import copy
from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from dqn_tf.config import seeding
from dqn_tf.envs.text.token_env import TokenEnv
from dqn_tf.envs.tokens import attribute_of
from dqn_tf.support.errors import UserError

CORPUS_SEED = 0  # an environment's own data are the same for every run
CORPUS_EPISODES = 2_000  # of an environment that does not say how many


class Player(Protocol):
    """What is needed of an environment that plays: see `TokenEnv`."""

    @property
    def behaviour_steps(self) -> int | None:
        """Where an episode of logged data is cut; None where the environment ends or cuts it."""

    @property
    def actions(self) -> range:
        """The environment's own numbers of the actions."""

    def reset(self, *, seed: int) -> Any:
        """Return observation and info."""

    def step(self, action: int) -> Any:
        """Return observation, reward, terminated, truncated and info."""

    def behaviour(self) -> np.ndarray:
        """Return the chances of the actions [A] now."""


class PlaysLoggedData(gym.Wrapper):
    """A wrapper through which the environment's own player makes logged data.

    `flag` is what puts it there, for what is said of it.
    """

    flag = ""

    @property
    def actions(self) -> range:
        """The environment's own numbers of the actions."""
        actions: range = attribute_of(self.env, "actions")
        return actions

    @property
    def behaviour_steps(self) -> int | None:
        """Where an episode of logged data is cut, if the environment says it."""
        steps: int | None = attribute_of(self.env, "behaviour_steps")
        return steps

    def behaviour(self) -> np.ndarray:
        """Return the chances of the actions now, of the player who makes logged data."""
        chances: np.ndarray = attribute_of(self.env, "behaviour")()
        return chances

    def corpus(self) -> dict[str, np.ndarray]:
        """Return 2,000 episodes of the environment's own player as logged data.

        Raises UserError if it has no player.
        """
        if not callable(attribute_of(self.env, "behaviour")):
            raise UserError(
                f"--data=env with {self.flag} plays as the environment's method `behaviour` does,"
                " which gives the chances of the actions, and it has none. Name a file, such as"
                " --data=FILE.npz."
            )
        return logged_play(self, CORPUS_EPISODES, CORPUS_SEED)


def corpus(env: TokenEnv, episodes: int) -> dict[str, np.ndarray]:
    """Return that many episodes of an environment's own data; its running one is left alone."""
    return logged_play(copy.copy(env), episodes, CORPUS_SEED)


def logged_play(env: Player, episodes: int, seed: int) -> dict[str, np.ndarray]:
    """Play episodes as `behaviour` does; return the columns of logged data.

    Masks are among them where the environment gives any. No episode has the seed of one of training
    or of an evaluation.
    """
    rows: dict[str, list[Any]] = {
        name: []
        for name in ("observation", "action", "reward", "terminated", "truncated", "propensity")
    }
    final, lengths, masks, final_masks = [], [], [], []
    first = env.actions.start
    for number in range(episodes):
        generator = np.random.default_rng((seed, seeding.RECORDED, number))
        observation, info = env.reset(seed=seeding.episode_seed(seed, seeding.RECORDED, number))
        length, has_ended = 0, False
        while not has_ended:
            chances = env.behaviour()
            action = int(generator.choice(len(chances), p=chances))
            masks.append(info.get("action_mask"))
            following, reward, terminated, truncated, info = env.step(action + first)
            length += 1
            truncated |= not terminated and length == env.behaviour_steps
            has_ended = terminated or truncated
            step = (observation, action + first, reward, terminated, truncated, chances[action])
            for values, value in zip(rows.values(), step, strict=True):
                values.append(value)
            observation = following
        final.append(observation)
        final_masks.append(info.get("action_mask"))
        lengths.append(length)
    columns = {name: np.array(values) for name, values in rows.items()}
    columns["episode"] = np.repeat(np.arange(episodes), lengths)
    columns["final_observation"] = np.array(final)
    if masks[0] is not None:
        columns["action_mask"] = np.array(masks)
        columns["final_action_mask"] = np.array(final_masks)
    return columns
