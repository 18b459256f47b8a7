"""A version that is asked in texts: the server makes tokens of them and reads each text once."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from dqn_tf.serving.errors import check_deadline, invalid_argument
from dqn_tf.serving.models.loaded_model import LoadedModel
from dqn_tf.serving.models.signature import Arrays, Signature
from dqn_tf.serving.texts import signatures
from dqn_tf.serving.texts.feature_memory import FeatureMemory
from dqn_tf.serving.texts.tokens import TextTokens

MESSAGE, CHOICE = "message", "choice"  # how a text is cut: its last tokens are kept, or its first
USER, SYSTEM = b"user", b"system"


class TextModel(LoadedModel):
    """A LoadedModel with the signatures of `texts.signatures`, too.

    A text is read alone, so what is said of it depends on nothing beside it. It is kept in `memory`
    for the next turn of its dialogue, and for all others who write the same.
    """

    def __init__(
        self,
        name: str,
        version: int,
        session: tf.compat.v1.Session,
        meta_graph: meta_graph_pb2.MetaGraphDef,
        tokens: TextTokens,
        memory: FeatureMemory,
    ) -> None:
        self._decided_by = signatures.add(meta_graph)
        super().__init__(name, version, session, meta_graph)
        self._length = signatures.length(meta_graph)
        self._places, self._width = signatures.places(meta_graph)
        self._tokens = tokens
        self.memory = memory

    def run(
        self,
        signature: Signature,
        inputs: Arrays,
        outputs: Iterable[str] | None = None,
        deadline: float | None = None,
    ) -> Arrays:
        """Return the signature's outputs for its inputs, as LoadedModel does.

        A text that is being read is read to its end; the deadline is looked at between two.
        """
        decides = self._decided_by.get(signature.name)
        if decides is None:
            return super().run(signature, inputs, outputs, deadline)
        signature.check(inputs)
        said = self._read_messages(*_dialogues(inputs), deadline)
        if "choices" in inputs:
            said["choices"] = choices = inputs["choices"]
            read = [self._features(CHOICE, text, deadline) for text in choices.flat]
            said["choice_features"] = self._joined(read, choices.shape)
        if "action_mask" in inputs:
            said["action_mask"] = inputs["action_mask"]
        return super().run(self.signatures[decides], said, outputs, deadline)

    def _read_messages(
        self, roles: np.ndarray, contents: np.ndarray, deadline: float | None
    ) -> Arrays:
        """Return features and roles of dialogues [B, M], of which the last messages are kept."""
        features = np.zeros((len(roles), self._places, self._width), np.float32)
        role = np.full((len(roles), self._places), b"", object)
        for row, pairs in enumerate(zip(roles.tolist(), contents.tolist(), strict=True)):
            messages = [
                (who or SYSTEM, text) for who, text in zip(*pairs, strict=True) if who or text
            ]
            for place, (who, text) in enumerate(messages[-self._places :]):
                role[row, place] = who
                features[row, place] = self._features(MESSAGE, text, deadline)
        return {"features": features, "role": role}

    def _features(self, kind: str, text: bytes, deadline: float | None) -> np.ndarray:
        """Return the features [W] of a text, read now or before."""
        known = self.memory.find(kind, text)
        if known is not None:
            return known
        check_deadline(deadline)
        cut = self._tokens.first if kind == CHOICE else self._tokens.last
        tokens = cut(text, self._length)[np.newaxis]
        reads = self.signatures[signatures.READS]
        read: np.ndarray = super().run(reads, {signatures.TOKENS: tokens})[signatures.FEATURES][0]
        self.memory.keep(kind, text, read)
        return read

    def _joined(self, features: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        joined = np.zeros((*shape, self._width), np.float32)
        if features:
            joined[:] = np.reshape(features, joined.shape)
        return joined


def _dialogues(inputs: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return who spoke and what, [B, M] each. Raises INVALID_ARGUMENT."""
    if "text" in inputs:
        text = inputs["text"]
        _require_rank(text, 1, "text")
        return np.full((len(text), 1), USER, object), text[:, np.newaxis]
    role, content = inputs["role"], inputs["content"]
    for name, array in (("role", role), ("content", content)):
        _require_rank(array, 2, name)
    if role.shape != content.shape:
        raise invalid_argument(
            f"role and content must be as large: they are {list(role.shape)} and"
            f" {list(content.shape)}"
        )
    return role, content


def _require_rank(array: np.ndarray, rank: int, name: str) -> None:
    if array.ndim != rank:
        raise invalid_argument(f"{name} must have {rank} dimensions, and has {array.ndim}")
