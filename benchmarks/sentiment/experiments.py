"""The two ways to learn sentiment, with one network, and one label at a time."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig

SEEDS = range(1, 6)
LABELS = (100, 300, 1_000, 3_000, 10_000)
UPDATES = 1_000
WARMUP = 64
ENV = "benchmarks.sentiment.review_env:Reviews-v0"


class Experiment(NamedTuple):
    """A line of the picture: whether the right label is told, or only if the chosen one is."""

    name: str
    title: str
    is_told: bool
    seeds: range = SEEDS


EXPERIMENTS = [
    Experiment("cross_entropy", "cross-entropy: the label is told", True),
    Experiment("dqn", "DQN: told whether the chosen label was right", False),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build the configuration of all labels of one seed; `overrides` come last. Raises UserError.

    Nothing comes later, so gamma is 0. Exploration goes on to the end, a little.
    """
    values: dict[str, Any] = {
        "env": ENV,
        "env_kwargs": {"order": seed},
        "seed": seed,
        "network": "bag_of_words",
        "hidden_units": (64,),
        "gamma": 0.0,
        "loss": "mse",
        "batch_size": 64,
        "learning_rate": 2e-3,
        "learning_rate_end": 1e-5,
        "replay_capacity": LABELS[-1],
        "warmup_env_steps": WARMUP,
        "epsilon_start": 0.5,
        "epsilon_end": 0.1,
        "evaluation_period_env_steps": 0,
    }
    return with_labels(DQNConfig(**values | overrides), LABELS[-1])


def with_labels(config: DQNConfig, labels: int) -> DQNConfig:
    """Return the run of so many labels, with as many updates as any other has."""
    return dataclasses.replace(
        config,
        total_steps=labels,
        env_steps_per_update=(labels - WARMUP) / UPDATES,
        epsilon_decay_env_steps=labels // 2,
    )
