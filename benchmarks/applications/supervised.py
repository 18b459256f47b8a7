"""Supervised learning from the environment's logged episodes, told what an agent has to find out.

A classifier has the network of the preset, with cross-entropy in place of the Bellman error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.applications.scoring import Policy
from dqn_tf.agent.networks.q_network import QNetwork
from dqn_tf.config import seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications import regime_beliefs
from dqn_tf.envs.applications.helpdesk import Helpdesk
from dqn_tf.envs.applications.news_alert import SIGN, NewsAlert
from dqn_tf.envs.applications.text_env import TextEnv
from dqn_tf.envs.spaces import Spaces
from dqn_tf.envs.text import logged_play

BATCH_SIZE = 64
LEARNING_RATE = (4e-3, 1e-5)  # at the first update and at the last


def right_actions(config: DQNConfig, env: TextEnv) -> Policy:
    """Learn the best action at each step of the logged episodes; act so."""
    observations, actions = labelled_corpus(env, lambda played: played.best_action())
    return train_classifier(config, _spaces(env, len(env.actions)), observations, actions)


def meanings(config: DQNConfig, env: TextEnv) -> Policy:
    """Learn what the logged texts mean; act as one would who knows it, in the simplest way.

    Of Helpdesk that is the issue, and the answer to the likeliest one. Of NewsAlert it is whether a
    text is negative, and the best rule by the belief that all texts give.
    """
    if isinstance(env, Helpdesk):
        observations, issues = labelled_corpus(env, lambda played: played.issue)
        return train_classifier(config, _spaces(env, env.beliefs.issues), observations, issues)
    assert isinstance(env, NewsAlert)
    return _rule_by_belief(config, env)


def labelled_corpus(env: TextEnv, label: Callable[[Any], int]) -> tuple[np.ndarray, np.ndarray]:
    """Play the environment's own logged episodes; return each step's observation and label."""
    observations, labels = [], []
    played = copy.copy(env)

    def behaviour() -> np.ndarray:
        observations.append(played.observation())
        labels.append(label(played))
        return env.__class__.behaviour(played)

    played.behaviour = behaviour  # type: ignore[method-assign]
    logged_play.logged_play(played, logged_play.CORPUS_EPISODES, logged_play.CORPUS_SEED)
    return np.array(observations), np.array(labels)


def train_classifier(
    config: DQNConfig,
    spaces: Spaces,
    texts: np.ndarray,
    labels: np.ndarray,
    updates: int | None = None,
    learning_rate: tuple[float, float] = LEARNING_RATE,
) -> Policy:
    """Train the network of a configuration on labelled texts [N, T]; return how to label others.

    `spaces` has an action for each class. There are as many updates as the configuration has
    offline, unless given; the step size falls linearly.
    """
    updates = config.offline_updates if updates is None else updates
    generator = np.random.default_rng(config.seed)
    network = QNetwork(spaces, config, seeding.generators(config.seed or 0)["weights"])
    schedule = tf.keras.optimizers.schedules.PolynomialDecay(
        learning_rate[0], updates, learning_rate[1]
    )
    optimizer = tf.keras.optimizers.Adam(schedule)
    loss_function = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = [*network.torso.trainable_variables, *network.head.trainable_variables]

    @tf.function(jit_compile=network.torso.uses_xla)
    def gradients(texts: tf.Tensor, classes: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = loss_function(classes, network(texts))
        return tf.clip_by_global_norm(tape.gradient(loss, weights), config.max_gradient_norm)[0]

    for _ in range(updates):
        rows = generator.integers(len(texts), size=BATCH_SIZE)
        found = gradients(tf.constant(texts[rows]), tf.constant(labels[rows]))
        optimizer.apply_gradients(zip(found, weights, strict=True))
    logits = tf.function(lambda texts: network(texts))

    def classify(texts: np.ndarray) -> np.ndarray:
        likeliest: np.ndarray = logits(tf.constant(texts)).numpy().argmax(axis=1)
        return likeliest

    return classify


def _spaces(env: TextEnv, classes: int) -> Spaces:
    length = len(env.observation())
    return Spaces((length,), "int32", classes, categories=len(env.tokens), padding=env.padding)


def _rule_by_belief(config: DQNConfig, env: NewsAlert) -> Policy:
    """Alert by the belief that all texts so far give, each classified by itself."""
    length = len(env.observation())
    said = [(text, kind == "negative") for kind in env.sentences for text in env.sentences[kind]]
    texts = np.array([_padded(env.encode(text), length) for text, _ in said])
    labels = np.array([is_bad for _, is_bad in said], int)
    classify = train_classifier(config, _spaces(env, 2), texts, labels)
    sign = env.encode(SIGN)[0]
    known: dict[tuple[int, ...], bool] = {}
    threshold = regime_beliefs.best_stopping(0.0).threshold

    def act(observations: np.ndarray) -> np.ndarray:
        streams = [_parts(row[row != env.padding].tolist(), sign) for row in observations]
        new = sorted({part for parts in streams for part in parts} - set(known))
        if new:
            found = classify(np.array([_padded(part, length) for part in new]))
            known.update(zip(new, found.astype(bool).tolist(), strict=True))
        actions = []
        for parts in streams:
            belief = np.zeros(())
            for part in parts:
                belief, _ = regime_beliefs.updated(belief, known[part], noise=0.0)
            actions.append(int(belief >= threshold[len(parts) - 1]))
        return np.array(actions)

    return act


def _parts(tokens: list[int], sign: int) -> list[tuple[int, ...]]:
    """Return the texts between the signs."""
    parts: list[list[int]] = [[]]
    for token in tokens:
        if token == sign:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def _padded(tokens: list[int] | tuple[int, ...], length: int) -> np.ndarray:
    padded = np.zeros(length, np.int32)
    padded[: len(tokens)] = tokens
    return padded
