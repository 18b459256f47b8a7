"""What the environments of tokens are scored on: all their starts, and what counts as success."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from dqn_tf.envs.text import graph_walk, maze, rewrite
from dqn_tf.evaluation.episodes import ActFunction

PROMPTS = 1_000  # of Rewrite, always the same
PROMPT_SEED = 20_170

Starts = list[dict[str, Any]]  # the options of `reset`


class Scores(NamedTuple):
    """Of one greedy episode from each start: returns [N], and whether each succeeded [N]."""

    returns: np.ndarray
    succeeded: np.ndarray


def starts(env: gym.Env) -> Starts:
    """List all starts; of Rewrite, where there are too many, PROMPTS prompts drawn once."""
    task: Any = env.unwrapped
    if isinstance(task, rewrite.Rewrite):
        generator = np.random.default_rng(PROMPT_SEED)
        length = 1 if task.task == "count" else task.length
        prompts = generator.integers(task.symbols, size=(PROMPTS, length))
        return [{"prompt": prompt} for prompt in prompts.tolist()]
    if isinstance(task, graph_walk.GraphWalk):
        return [{"start": node} for node in task.graph.starts]
    return [{"start": cell} for cell in maze.STARTS]


def score(policy: ActFunction, make: Callable[[], gym.Env], options: Sequence[Any]) -> Scores:
    """Play one episode from each start, all together; actions are the environment's own."""
    envs = [make() for _ in options]
    observations = [env.reset(options=each)[0] for env, each in zip(envs, options, strict=True)]
    returns = np.zeros(len(envs))
    succeeded = np.zeros(len(envs), bool)
    running = list(range(len(envs)))
    while running:
        actions = policy(np.stack([observations[place] for place in running]), None)
        still_running = []
        for place, action in zip(running, actions, strict=True):
            env = envs[place]
            observations[place], reward, terminated, truncated, _ = env.step(int(action))
            returns[place] += float(reward)
            if not (terminated or truncated):
                still_running.append(place)
            elif terminated:
                succeeded[place] = _is_success(env.unwrapped, returns[place])
        running = still_running
    for env in envs:
        env.close()
    return Scores(returns, succeeded)


def _is_success(task: Any, episode_return: float) -> bool:
    """Tell whether an episode that terminated did as it should, by its return."""
    if isinstance(task, rewrite.Rewrite):
        return episode_return > 1.0 - 0.5 / task.length
    if isinstance(task, graph_walk.GraphWalk):
        return episode_return > -task.graph.limit
    return True
