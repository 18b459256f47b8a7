"""One run: learns from 100 labels, from 300, and so on, each time anew; the share of a test."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.applications.supervised import train_classifier
from benchmarks.sentiment import reviews
from benchmarks.sentiment.experiments import LABELS, UPDATES, with_labels
from benchmarks.sentiment.review_env import shuffled
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.training import trainer

BATCH = 500
Classify = Callable[[np.ndarray], np.ndarray]  # texts [N, T] → labels [N]


def run(config: DQNConfig, is_told: bool) -> dict[str, Any]:
    """Return the accuracies by number of labels, and what they cost. Raises UserError."""
    start, cpu_start = time.monotonic(), time.process_time()
    accuracies = {}
    for labels in LABELS:
        learn = _learn_told if is_told else _learn_by_reward
        accuracies[labels] = learn(with_labels(config, labels))
    return {
        "accuracies": accuracies,
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_start,
    }


def accuracy(classify: Classify) -> float:
    """Return the share of the test's reviews that are called what they are."""
    _, test = reviews.load()
    parts = [
        classify(test.texts[start : start + BATCH]) for start in range(0, len(test.texts), BATCH)
    ]
    return float((np.concatenate(parts) == test.labels).mean())


def _learn_told(config: DQNConfig) -> float:
    """Learn the labels of the reviews that the agent would see."""
    pool, _ = reviews.load()
    places = shuffled(config.env_kwargs["order"])[: config.total_steps]
    spaces = Spaces(
        (reviews.LENGTH,), "int32", 2, categories=reviews.VOCABULARY, padding=reviews.PADDING
    )
    rate = (config.learning_rate, config.learning_rate_end or 0.0)
    return accuracy(
        train_classifier(config, spaces, pool.texts[places], pool.labels[places], UPDATES, rate)
    )


def _learn_by_reward(config: DQNConfig) -> float:
    """Train a DQN, which sees each review once and the outcome of one label."""
    (trained,) = trainer.make_runs([config])
    try:
        trainer.run_blocks([trained])
        trained.engine.sync_agent()
        q_function = trained.engine.q_function
        q_function.refresh()
        return accuracy(lambda texts: q_function.greedy_action(texts, None))
    finally:
        trained.close()
