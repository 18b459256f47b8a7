"""One run: learns on training wordings, and plays greedily with those of all three splits."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.pretrained import deciders, supervised
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.applications.news_alert import NewsAlert
from dqn_tf.evaluation.episodes import DEFAULT_SEED
from dqn_tf.evaluation.library import evaluate
from dqn_tf.training import trainer

SPLITS = ("train", "validation", "test")
EPISODES = 2_000  # of each split, the same for all runs

Act = Callable[[dict[str, Any], int], int]  # what is told, steps so far → action
# of the settings that say what is read and how, the costs of the first run that was set up
_first_setup: dict[tuple[Any, ...], dict[str, float]] = {}


def run(config: DQNConfig, is_supervised: bool = False) -> dict[str, Any]:
    """Learn once; return scores of the last weights and costs by column of the record.

    `seconds` and `cpu_seconds` are those of the whole run, the first reading of the texts included:
    what one run of a process has read, later ones need not read again, and it is counted for them
    as well. Raises UserError if learning breaks.
    """
    return _run_supervised(config) if is_supervised else _run_dqn(config)


def _run_dqn(config: DQNConfig) -> dict[str, Any]:
    start, cpu_start = time.monotonic(), time.process_time()
    (trained,) = trainer.make_runs([config])
    setup = _costs(start, cpu_start)
    first = _first_setup.setdefault(_what_is_read(config), setup)
    try:
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        costs = _costs(start, cpu_start)
        costs = {name: costs[name] - setup[name] + first[name] for name in costs}
        scores = {}
        for split in SPLITS:
            told = of_split(config, split)
            mean = evaluate(trained.agent, told, episodes=EPISODES).mean
            scores[split] = mean + luck(told)
    finally:
        trained.close()
    learning = trained.agent.online.trainable_variables
    weights = sum(int(np.prod(variable.shape)) for variable in learning)
    return (
        scores
        | costs
        | {
            "weights": weights,
            "updates": trained.engine.updates,
            "env_steps": trained.engine.env_step,
        }
    )


def _run_supervised(config: DQNConfig) -> dict[str, Any]:
    start, cpu_start = time.monotonic(), time.process_time()
    envs = {split: make_env(of_split(config, split)) for split in SPLITS}
    read = supervised.reader(config, envs["train"])
    decider = deciders.learn(read, envs["train"], envs["validation"])
    costs = _costs(start, cpu_start)
    first = _first_setup.get(_what_is_read(config), {})
    costs = {name: costs[name] + first.get(name, 0.0) for name in costs}
    scores = {
        split: play(envs[split], decider.act) + luck(of_split(config, split)) for split in SPLITS
    }
    return scores | costs | {"weights": decider.weights, "updates": 0, "env_steps": 0}


def of_split(config: DQNConfig, split: str) -> DQNConfig:
    """Return the configuration with the wordings of a split."""
    return dataclasses.replace(config, env_kwargs=config.env_kwargs | {"split": split})


def make_env(config: DQNConfig) -> Any:
    """Make the application itself, without what makes its texts tokens of a model."""
    plain = DQNConfig(env=config.env, env_kwargs=config.env_kwargs)
    return registry.maker(plain)().unwrapped


def play(env: Any, act: Act) -> float:
    """Return the mean return of EPISODES episodes, with the seeds that `evaluate` has."""
    total = 0.0
    for seed in seeding.episode_seeds(DEFAULT_SEED, seeding.TEST, EPISODES):
        _, info = env.reset(seed=seed)
        step, is_over = 0, False
        while not is_over:
            _, reward, terminated, truncated, info = env.step(act(info, step))
            step += 1
            total += float(reward)
            is_over = terminated or truncated
    return total / EPISODES


def luck(config: DQNConfig) -> float:
    """Return what the best player of NewsAlert misses on these streams; 0 elsewhere.

    No action changes a stream, and some are easier than others: a score is what a policy earns
    beyond the best player on the same streams, and the optimum, which that player has in the mean.
    """
    env = make_env(config)
    if not isinstance(env, NewsAlert):
        return 0.0
    return env.optimal_return() - play(env, lambda info, step: env.best_action())


def _what_is_read(config: DQNConfig) -> tuple[Any, ...]:
    """Return the settings on which depends what a language model reads before a run."""
    return (
        str(config.env_kwargs),
        config.language_model,
        config.language_layers,
        config.language_prompt,
        config.message_tokens,
        config.fine_tune,
    )


def _costs(start: float, cpu_start: float) -> dict[str, float]:
    return {
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }
