"""Episodes of an environment's own behaviour as logged data, which `--data` reads."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from dqn_tf.config import seeding
from dqn_tf.envs.text.token_env import TokenEnv

CORPUS_SEED = 0  # an environment's own data are the same for every run


def corpus(env: TokenEnv, episodes: int) -> dict[str, np.ndarray]:
    """Return that many episodes of an environment's own data; its running one is left alone."""
    return logged_play(copy.copy(env), episodes, CORPUS_SEED)


def logged_play(env: TokenEnv, episodes: int, seed: int) -> dict[str, np.ndarray]:
    """Play episodes as `behaviour` does; return the columns of logged data.

    No episode has the seed of one of training or of an evaluation.
    """
    rows: dict[str, list[Any]] = {
        name: []
        for name in ("observation", "action", "reward", "terminated", "truncated", "propensity")
    }
    final, lengths = [], []
    first = env.actions.start
    for number in range(episodes):
        generator = np.random.default_rng((seed, seeding.RECORDED, number))
        observation, _ = env.reset(seed=seeding.episode_seed(seed, seeding.RECORDED, number))
        length, has_ended = 0, False
        while not has_ended:
            chances = env.behaviour()
            action = int(generator.choice(len(chances), p=chances))
            following, reward, terminated, truncated, _ = env.step(action + first)
            length += 1
            truncated |= not terminated and length == env.behaviour_steps
            has_ended = terminated or truncated
            step = (observation, action + first, reward, terminated, truncated, chances[action])
            for values, value in zip(rows.values(), step, strict=True):
                values.append(value)
            observation = following
        final.append(observation)
        lengths.append(length)
    columns = {name: np.array(values) for name, values in rows.items()}
    columns["episode"] = np.repeat(np.arange(episodes), lengths)
    columns["final_observation"] = np.array(final)
    return columns
