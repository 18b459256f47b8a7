"""A frozen language model: from texts to numbers that say what they mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from dqn_tf.agent.networks.pretrained.trunk import LlamaTrunk
from dqn_tf.language.model_files import open_model

TEXT_TOKENS = 64  # of the longest text, if nothing else is said


class LanguageModel:
    """A pretrained model's first blocks and its tokenizer, with weights that never change.

        model = LanguageModel("smollm2", blocks=8)          # or a folder, or a .gguf file
        features = model.features(["My card was eaten."])   # [1, 576] float32

    Attributes:
      files: the model's files.
      trunk: its blocks.
    """

    def __init__(self, model: str, blocks: int = 0) -> None:
        self.files = open_model(model)
        self.trunk = LlamaTrunk(self.files, blocks)
        self.trunk.trainable = False
        self._states = tf.function(self.trunk.all_states)

    def tokens(self, texts: Sequence[str], length: int = TEXT_TOKENS) -> tuple[np.ndarray, ...]:
        """Return tokens [N, length] int32, with zeros behind them, and their numbers [N].

        A text of more tokens loses its first ones.
        """
        tokens = np.zeros((len(texts), length), np.int32)
        counts = np.zeros(len(texts), np.int32)
        for row, text in enumerate(texts):
            kept = self.files.tokenizer.encode(text)[-length:]
            tokens[row, : len(kept)] = kept
            counts[row] = len(kept)
        return tokens, counts

    def features(
        self,
        texts: Sequence[str],
        at: int | Sequence[int] | None = None,
        skip: int = 0,
        length: int = TEXT_TOKENS,
    ) -> np.ndarray:
        """Return the mean over a text's tokens of the stream after `at` blocks, [N, width].

        With several `at`, [N, len(at), width]; without it, it is after the last block. The first
        `skip` tokens are left out of the mean where there are more of them; a text without tokens
        has zeros. Each text is read by itself and in the same shape, so its features are the same
        to the bit whatever stands beside it. They are not standardised.
        """
        places = [self.trunk.shape.layers] if at is None else np.atleast_1d(at).tolist()
        tokens, counts = self.tokens(texts, length)
        means = np.zeros((len(texts), len(places), self.trunk.shape.width), np.float32)
        for row, count in enumerate(counts.tolist()):
            first = skip if count > skip else 0
            for place, states in enumerate(self.token_states(tokens[row], places)):
                if count:
                    means[row, place] = states[first:count].mean(axis=0)
        return means[:, 0] if at is None or np.ndim(at) == 0 else means

    def token_states(self, tokens: np.ndarray, places: Sequence[int]) -> list[np.ndarray]:
        """Return the stream at each token of one text, tokens [T], after so many blocks each."""
        states = self._states(tf.constant(tokens[np.newaxis], tf.int32), max(places))
        return [states[place][0].numpy() for place in places]
