"""Served texts for a candidate on a language model, as the server makes tokens of them."""

from typing import Any

import numpy as np

from dqn_tf.envs.dialogues import MessageReader
from dqn_tf.envs.spaces import MASK, Spaces
from dqn_tf.evaluation.find_export import Version
from dqn_tf.evaluation.texts_read_once import MASKED, TextsReadOnce
from dqn_tf.language import byte_pairs
from dqn_tf.support.errors import UserError
from dqn_tf.traffic.records import Arrays

TOKENIZER = "assets.extra/tokenizer.json"
SIGNATURES = ("text", "messages")
RANKS = {"text": 1, "role": 2, "content": 2, "choices": 2}  # of the strings in a request


class MessageTexts:
    """Makes observations of requests with texts, and answers them."""

    def __init__(self, reader: MessageReader, policy: TextsReadOnce, is_masked: bool) -> None:
        self._reader = reader
        self._policy = policy
        self._is_masked = is_masked

    @classmethod
    def of_version(cls, version: Version, signatures: Any) -> "MessageTexts | None":
        """Return what reads for a version; None where it reads no messages, or not without files.

        The package tokenizers may be missing, too.
        """
        file = version.path / TOKENIZER
        described = version.manifest.get("spaces")
        if not file.is_file() or not isinstance(described, dict):
            return None
        spaces = Spaces.from_dict(described)
        if not TextsReadOnce.fits(signatures, spaces):
            return None
        try:
            pairs = byte_pairs.of_file(str(version.path), file)
        except UserError:
            return None
        length = spaces.text_tokens // spaces.messages - 1
        reader = MessageReader(pairs.encode, spaces.messages, length).of_spaces(spaces)
        return cls(reader, TextsReadOnce(signatures, spaces), spaces.masked)

    def observations(self, inputs: Arrays) -> np.ndarray | None:
        """Return the observations of a request; None if it holds no texts.

        Raises ValueError for texts that the candidate does not take, and UserError for too many
        choices.
        """
        if not ("text" in inputs or {"role", "content"} <= set(inputs)):
            return None
        self._require_readable(inputs)
        if "text" in inputs:
            dialogues = [[("user", text)] for text in inputs["text"].tolist()]
        else:
            rows = zip(inputs["role"].tolist(), inputs["content"].tolist(), strict=True)
            dialogues = [
                [
                    (who.decode("utf-8", "replace"), said)
                    for who, said in zip(*row, strict=True)
                    if who or said
                ]
                for row in rows
            ]
        choices = inputs["choices"].tolist() if "choices" in inputs else [()] * len(dialogues)
        return np.array(
            [
                self._reader.of_messages(messages, beside)
                for messages, beside in zip(dialogues, choices, strict=True)
            ]
        )

    def answer(self, signature: str, inputs: Arrays) -> Arrays | None:
        """Return the answer to a request; None if the candidate has no such signature.

        Raises ValueError or UserError for inputs that it does not take, or what TensorFlow raises
        for them.
        """
        asks_with_mask = signature.endswith(MASKED)
        if signature.removesuffix(MASKED) not in SIGNATURES:
            return None
        if asks_with_mask and not self._is_masked:
            return None
        observations = self.observations(inputs)
        if observations is None:
            return None
        mask = inputs.get(MASK)
        if asks_with_mask != (mask is not None) or (mask is not None and mask.ndim != 2):
            raise ValueError("a mask [N, A] belongs to signatures with one, and to no other")
        if mask is not None and self._reader.choices:
            mask = np.pad(mask, [(0, 0), (0, self._reader.choices - mask.shape[1])])
        outputs = self._policy(observations, mask)
        answer = {name: tensor.numpy() for name, tensor in outputs.items()}
        if "choices" in inputs:
            answer["q_values"] = answer["q_values"][:, : inputs["choices"].shape[1]]
        return answer

    def _require_readable(self, inputs: Arrays) -> None:
        """Raise ValueError unless all texts are strings, and each message has its role."""
        require_strings(inputs)
        if "text" not in inputs and inputs["role"].shape != inputs["content"].shape:
            raise ValueError("role and content must be of one shape")


def require_strings(inputs: Arrays) -> None:
    """Raise ValueError unless texts, roles and choices of a request are strings of their rank."""
    for name, rank in RANKS.items():
        texts = inputs.get(name)
        if texts is not None and (texts.dtype != object or texts.ndim != rank):
            raise ValueError(f"{name} must be strings of rank {rank}")
