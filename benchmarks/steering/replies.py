"""Writes replies token by token, each among the tokens that the frozen model takes for likely."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.steering.network import States
from benchmarks.steering.reading import Memory, Reader
from dqn_tf.language.byte_pairs import BytePairs

SPECIAL = "<|"  # how a token begins that is no text


class Step(NamedTuple):
    """What is known where one token is to be written.

    Attributes:
      number: of the state.
      tokens: [k] those to choose from, the likeliest first.
      log_chances: [k] of them under the model, as if there were no others.
      place: of the token that was taken.
      log_probability: of that token under the model, among all tokens.
      divergence: KL of the policy's chances to the model's, in nats.
    """

    number: int
    tokens: np.ndarray
    log_chances: np.ndarray
    place: int
    log_probability: float
    divergence: float


class Reply(NamedTuple):
    """A whole reply: its steps, and its text after each of them, the first one being empty."""

    steps: list[Step]
    texts: list[str]


# numbers [B], tokens [B, k] and log-chances [B, k] of states → chances [B, k] of a policy
Policy = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Writer:
    """Writes replies of at most `length` tokens, each one of the `choices` likeliest.

    A token with a new line in it, or one that is no text, ends the reply.
    """

    def __init__(
        self, reader: Reader, tokenizer: BytePairs, states: States, choices: int, length: int
    ) -> None:
        self.reader, self.tokenizer, self.states = reader, tokenizer, states
        self.choices, self.length = choices, length
        self._begun: dict[str, tuple[tf.Tensor, tf.Tensor, Memory]] = {}

    def write(
        self, prompt: str, count: int, policy: Policy, generator: np.random.Generator
    ) -> list[Reply]:
        """Return so many replies to a prompt, which is read once for all."""
        if prompt not in self._begun:
            tokens = [self.tokenizer.encode(prompt)]
            self._begun[prompt] = self.reader.read(tokens, self.reader.begin(1))
        state, logits, memory = self._begun[prompt]
        states, logits = tf.repeat(state, count, axis=0), tf.repeat(logits, count, axis=0)
        memory = memory.repeated(count)
        replies = [Reply([], [""]) for _ in range(count)]
        written: list[list[int]] = [[] for _ in range(count)]
        open_ones = list(range(count))
        for place in range(self.length):
            steps, taken = self._choose(states, logits, place, policy, generator)
            going_on = []
            for row, reply in enumerate(open_ones):
                written[reply].append(taken[row])
                is_over = self._ends(taken[row])
                text = replies[reply].texts[-1]
                if not is_over:
                    text = self.tokenizer.decode(written[reply])
                    going_on.append(row)
                replies[reply].steps.append(steps[row])
                replies[reply].texts.append(text)
            if not going_on or place == self.length - 1:
                break
            if len(going_on) < len(open_ones):
                memory = Memory(*(tf.gather(part, going_on, axis=1) for part in memory))
                open_ones = [open_ones[row] for row in going_on]
            tokens = [[taken[row]] for row in going_on]
            states, logits, memory = self.reader.read(tokens, memory)
        return replies

    def _choose(
        self,
        states: tf.Tensor,
        logits: tf.Tensor,
        place: int,
        policy: Policy,
        generator: np.random.Generator,
    ) -> tuple[list[Step], list[int]]:
        """Return what is known at each state, and the tokens that the policy takes."""
        best, tokens = (part.numpy() for part in tf.math.top_k(logits, self.choices))
        log_probabilities = best - tf.reduce_logsumexp(logits, axis=1, keepdims=True).numpy()
        log_chances = log_softmax(best.astype(np.float64))
        # how much room is left is part of the state, and the model does not know
        room = np.full((len(tokens), 1), place / self.length)
        numbers = self.states.add(np.concatenate([states.numpy(), room], axis=1))
        chances = policy(numbers, tokens, log_chances)
        drawn = generator.random((len(tokens), 1)) * chances.sum(axis=1, keepdims=True)
        places = np.minimum((chances.cumsum(axis=1) <= drawn).sum(axis=1), self.choices - 1)
        divergence = relative_entropy(chances, log_chances)
        steps = [
            Step(
                int(numbers[row]),
                tokens[row],
                log_chances[row],
                int(taken),
                float(log_probabilities[row, taken]),
                float(divergence[row]),
            )
            for row, taken in enumerate(places)
        ]
        return steps, tokens[np.arange(len(tokens)), places].tolist()

    def _ends(self, token: int) -> bool:
        text = self.tokenizer.decode([token])
        return "\n" in text or text.startswith(SPECIAL)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithms of chances [..., k]."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def relative_entropy(chances: np.ndarray, log_chances: np.ndarray) -> np.ndarray:
    """Return KL [B], in nats, of chances [B, k] to those of which the logarithms are given."""
    logarithm = np.log(np.where(chances > 0.0, chances, 1.0))
    return np.where(chances > 0.0, chances * (logarithm - log_chances), 0.0).sum(axis=1)
