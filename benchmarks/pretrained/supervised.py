"""Supervised learning on the same features: told what sentences mean, then the exact policy.

A linear classifier of sentences reads what the agent reads, of each message by itself. What it
believes decides as the exact policy of the environment would. How much its weights are held back is
chosen on validation wordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
import tensorflow as tf

from dqn_tf.agent.networks.pretrained.readers import frozen_reader, standard
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.applications.text_env import TextEnv
from dqn_tf.envs.applications.vocabulary import UNKNOWN
from dqn_tf.language.model_files import open_model

Read = Callable[[Sequence[str]], np.ndarray]  # texts → features [N, width]
DECAYS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of squared weights, beside the mean loss
ITERATIONS = 500


class Labelled(NamedTuple):
    """Texts and what each means, by a number from 0 on."""

    texts: list[str]
    labels: np.ndarray


class Beliefs:
    """A softmax regression over features of texts, and what it says of a text by Bayes' rule.

    Attributes:
      weights: how many numbers it learned.
      error: the share of validation texts whose likeliest meaning is wrong.
    """

    def __init__(self, read: Read, known: Labelled, unseen: Labelled) -> None:
        self._read = read
        self._said: dict[str, np.ndarray] = {}
        counts = np.bincount(known.labels)
        self._share = counts / counts.sum()
        classes = len(counts)
        features, new = self._with_one(known.texts), self._with_one(unseen.texts)
        tried = [_regression(features, known.labels, classes, decay) for decay in DECAYS]
        losses = [_loss(new, unseen.labels, kernel) for kernel in tried]
        self._kernel = tried[int(np.argmin(losses))]
        self.weights = self._kernel.size
        wrong = _chances(new, self._kernel).argmax(axis=1) != unseen.labels
        self.error = float(wrong.mean())

    def likelihood(self, text: str) -> np.ndarray:
        """Return how likely the text is for each meaning, [classes], up to a factor."""
        if text not in self._said:
            self._said[text] = _chances(self._with_one([text]), self._kernel)[0] / self._share
        return self._said[text]

    def _with_one(self, texts: Sequence[str]) -> np.ndarray:
        features = self._read(texts)
        return np.concatenate([features, np.ones((len(texts), 1))], axis=1)


def reader(config: DQNConfig, env: TextEnv) -> Read:
    """Return what makes features of texts: the language model, or counts of the words of `env`.

    Those of the model are the agent's own: standardised over the environment's texts.
    """
    if not config.language_model:
        return lambda texts: np.array([_counts(env, text) for text in texts])
    files = open_model(config.language_model)
    length = config.message_tokens
    frozen = frozen_reader(
        config.language_model,
        config.language_layers,
        length,
        config.language_prompt,
        config.skip_tokens,
    )
    mean, deviation = standard(frozen, files.tokenizer, env.texts, length)

    def read(texts: Sequence[str]) -> np.ndarray:
        messages = np.full((len(texts), length), -1, np.int32)
        for row, text in enumerate(texts):
            tokens = files.tokenizer.encode(text)[-length:]
            messages[row, : len(tokens)] = tokens
        features: np.ndarray = (frozen(tf.constant(messages)).numpy() - mean) / deviation
        return features

    return read


def _counts(env: TextEnv, text: str) -> np.ndarray:
    counts = np.bincount(env.encode(text), minlength=len(env.tokens)).astype(float)
    counts[: UNKNOWN + 1] = 0.0
    return counts


def _chances(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    logits = features @ kernel
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
    return chances


def _loss(features: np.ndarray, labels: np.ndarray, kernel: np.ndarray) -> float:
    chances = _chances(features, kernel)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chances, 1e-12)).mean())


def _regression(features: np.ndarray, labels: np.ndarray, classes: int, decay: float) -> np.ndarray:
    """Return the kernel [width, classes] of the least cross-entropy; the last row is the bias."""
    shape = (features.shape[1], classes)
    is_label = np.eye(classes)[labels]

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel = flat.reshape(shape)
        held = kernel * (np.arange(shape[0]) < shape[0] - 1)[:, np.newaxis]
        loss = _loss(features, labels, kernel) + 0.5 * decay * float((held**2).sum())
        wrong = (_chances(features, kernel) - is_label) / len(labels)
        return loss, (features.T @ wrong + decay * held).reshape(-1)

    found: Any = scipy.optimize.minimize(
        loss_and_gradient,
        np.zeros(shape[0] * classes),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS},
    )
    kernel: np.ndarray = found.x.reshape(shape)
    return kernel
