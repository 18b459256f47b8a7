"""One run: learns, and scores the last weights on the wordings of all three splits."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.applications import supervised
from benchmarks.applications.experiments import LOGGED, MEANING, RIGHT, SPLITS
from benchmarks.applications.scoring import Policy, score
from benchmarks.scores.run_one import trained_run
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.applications.text_env import TextEnv


def run(config: DQNConfig, learns: str) -> dict[str, Any]:
    """Learn once; return scores and costs by column of the record.

    Raises UserError if learning breaks.
    """
    if learns in (RIGHT, MEANING):
        return _run_supervised(config, learns)
    with trained_run(config) as (trained, costs):
        q_function = trained.engine.q_function
        q_function.refresh()

        def policy(observations: np.ndarray) -> np.ndarray:
            if learns == LOGGED:
                return q_function.behaviour(observations).argmax(axis=1)
            return q_function.greedy_action(observations, None)

        return _scores(policy, config) | costs.columns(trained)


def make_env(config: DQNConfig, **env_kwargs: Any) -> TextEnv:
    """Make the application itself, without wrappers, with further arguments."""
    chosen = dataclasses.replace(config, env_kwargs=config.env_kwargs | env_kwargs)
    env: Any = registry.maker(chosen)().unwrapped
    return env


def _run_supervised(config: DQNConfig, learns: str) -> dict[str, Any]:
    start, cpu_start = time.monotonic(), time.process_time()
    env = make_env(config)
    teach: Callable[..., Policy] = supervised.right_actions
    if learns == MEANING:
        teach = supervised.meanings
    policy = teach(config, env)
    costs = {"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - cpu_start}
    return _scores(policy, config) | costs | {"updates": config.offline_updates, "env_steps": 0}


def _scores(policy: Policy, config: DQNConfig) -> dict[str, Any]:
    """Score a policy on each split, which costs no time of the run."""
    scores: dict[str, Any] = {}
    for split in SPLITS:
        scores[split], scores[f"{split}_success"] = score(policy, make_env(config, split=split))
    return scores
