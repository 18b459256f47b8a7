"""The best returns in MiniGrid: the shortest way through each episode, found by trying all ways."""

from __future__ import annotations

import copy
from typing import Any

from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.evaluation.episodes import DEFAULT_SEED

EPISODES = 100  # the first ones that a score is played on


def mean_optimum(config: DQNConfig) -> float:
    """Return the mean of the best returns over the first EPISODES of a score."""
    env: Any = registry.maker(config)()
    total = 0.0
    for seed in seeding.episode_seeds(DEFAULT_SEED, seeding.TEST, EPISODES):
        env.reset(seed=seed)
        total += best_return(env.unwrapped)
    env.close()
    return total / EPISODES


def best_return(grid: Any) -> float:
    """Return what the shortest way from here to the end with a reward brings.

    It is found breadth first: of all situations that one step more leads to, those that were not
    seen before are gone on from.
    """
    ends = [grid]
    seen = {_situation(grid)}
    while ends:
        next_ends = []
        for end in ends:
            for action in range(end.action_space.n):
                after = copy.deepcopy(end)
                _, reward, terminated, truncated, _ = after.step(action)
                if terminated and reward > 0:
                    return float(reward)
                situation = _situation(after)
                if not (terminated or truncated) and situation not in seen:
                    seen.add(situation)
                    next_ends.append(after)
        ends = next_ends
    return 0.0


def _situation(grid: Any) -> tuple[Any, ...]:
    """Return what the rest of an episode depends on, but for the steps that are left."""
    place = tuple(int(number) for number in grid.agent_pos)
    return place, int(grid.agent_dir), grid.carrying is None, grid.grid.encode().tobytes()
