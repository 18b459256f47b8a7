"""An export on a language model, asked so that it reads each text once."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.envs.dialogues import PADDING, ROLES
from dqn_tf.envs.spaces import Spaces

READS, DECIDES, MASKED = "text_features", "from_features", "_masked"
MOST_TEXTS = 16_384  # whose features are kept
NAMES = np.array(ROLES, object)


class TextsReadOnce:
    """Observations [N, *shape] → what the export decides, with the features of texts kept.

    Each text is read alone, so its features do not depend on what stands beside it.
    """

    def __init__(self, signatures: Mapping[str, Any], spaces: Spaces) -> None:
        self._signatures = signatures
        self._spaces = spaces
        self._features = functools.lru_cache(maxsize=MOST_TEXTS)(self._read_one)

    @staticmethod
    def fits(signatures: Mapping[str, Any], spaces: Spaces) -> bool:
        """Return whether an export has signatures that read texts and decide apart."""
        needed = {READS, DECIDES, DECIDES + MASKED} if spaces.masked else {READS, DECIDES}
        return bool(spaces.messages) and needed <= set(signatures)

    def __call__(self, observation: np.ndarray, mask: np.ndarray | None = None) -> dict[str, Any]:
        """Return the outputs of `from_features`, with masks [N, A] where they are given."""
        spaces = self._spaces
        state = observation[:, : spaces.text_tokens]
        places = state.reshape(len(state), spaces.messages, -1)
        who = np.where(places[..., 0] == PADDING, 0, np.clip(places[..., 0], 1, len(ROLES) - 1))
        inputs: dict[str, Any] = {
            "features": tf.constant(self._read(places[..., 1:])),
            "role": tf.constant(NAMES[who], tf.string, who.shape),
        }
        if spaces.choices:
            tokens = observation[:, spaces.text_tokens :].reshape(
                len(state), spaces.choices, spaces.choice_tokens
            )
            inputs["choices"] = tf.fill(tokens.shape[:2], "")
            inputs["choice_features"] = tf.constant(self._read(tokens))
        if mask is not None:
            inputs["action_mask"] = tf.constant(mask)
        outputs: dict[str, Any] = self._signatures[DECIDES + MASKED * (mask is not None)](**inputs)
        return outputs

    def _read(self, tokens: np.ndarray) -> np.ndarray:
        """Return the features [N, P, W] of texts [N, P, L]."""
        flat = np.ascontiguousarray(tokens.reshape(-1, tokens.shape[2]), np.int32)
        rows = [self._features(text.tobytes()) for text in flat]
        width = self._signatures[READS].structured_outputs["features"].shape[1]
        return np.reshape(rows, (*tokens.shape[:2], width)).astype(np.float32)

    def _read_one(self, text: bytes) -> np.ndarray:
        tokens = np.frombuffer(text, np.int32)[np.newaxis]
        read = self._signatures[READS](tokens=tf.constant(tokens))
        features: np.ndarray = read["features"].numpy()[0]
        return features
