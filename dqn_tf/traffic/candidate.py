"""Sends served requests to a candidate export and compares its answers with those given."""

import collections
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.envs import tokenizer
from dqn_tf.evaluation.exported_policy import load_saved_model
from dqn_tf.evaluation.find_export import Version, action_start
from dqn_tf.support.errors import UserError
from dqn_tf.traffic.agreement import Agreement, Choices, Drift
from dqn_tf.traffic.message_texts import MessageTexts, require_strings
from dqn_tf.traffic.records import Arrays, RecordedRequest, Traffic

BYTES = "observation_bytes"  # the input that holds an observation's bytes as a string

TEXT = "text"  # the input that is made tokens
CHOICES = "choices"  # the texts of what is chosen among, where there are some


class Comparison(NamedTuple):
    """What a candidate's answers showed: by the model and version that had served, and in all.

    `drift` is None where no observation of the candidate's shape was served.
    """

    versions: dict[tuple[str, int], Agreement]
    total: Agreement
    drift: Drift | None


class Range(NamedTuple):
    """The smallest and the largest value of each component of an observation."""

    low: np.ndarray
    high: np.ndarray


class Candidate:
    """An export that answers recorded requests by the signatures that they were sent to.

    `epsilon_greedy` gets the recorded seeds, so that both models explore alike. `range` is what the
    manifest says of training's observations; None where it says nothing.
    """

    def __init__(self, version: Version) -> None:
        """Load the version. Raises UserError if it is broken or not exported by dqn_tf."""
        # Kept, since signatures do not keep the variables alive.
        self._loaded = load_saved_model(version.path)
        self._signatures = self._loaded.signatures
        self._action_start = action_start(version.manifest)
        self._tokenizer = tokenizer.of_manifest(version.manifest)
        self._texts = MessageTexts.of_version(version, self._signatures)
        inputs = self._signatures["serving_default"].structured_input_signature[1]
        self._spec: tf.TensorSpec | None = inputs.get("observation")
        self._shape: tuple[int, ...] | None = None  # of one observation, where it is known
        if self._spec is not None and None not in self._spec.shape[1:]:
            self._shape = tuple(self._spec.shape[1:])
        self.range = read_range(version.manifest, self._shape)

    def compare(self, traffic: Traffic) -> Comparison:
        """Answer every batch; what cannot be answered is counted in `traffic.skipped`."""
        versions: dict[tuple[str, int], Agreement] = collections.defaultdict(Agreement)
        total = Agreement()
        drift = None
        if self._shape is not None:
            drift = Drift(self._shape, *(self.range or ()))
        answered = itertools.chain.from_iterable(map(self._answers, traffic.batches()))
        for batch, answer in answered:
            if drift is not None:
                drift.add(self._observations(batch, drift.low.shape))
            if isinstance(answer, str):
                traffic.skipped[answer] += batch.requests
                continue
            served = self._choices(batch.outputs)
            candidate = self._choices(answer)
            if served is None or candidate is None:
                traffic.skipped["without action and q_values"] += batch.requests
                continue
            versions[batch.model, batch.version].add(batch.requests, served, candidate)
            total.add(batch.requests, served, candidate)
        has_drift = drift is not None and drift.rows > 0
        return Comparison(dict(sorted(versions.items())), total, drift if has_drift else None)

    def _answers(self, batch: RecordedRequest) -> Iterator[tuple[RecordedRequest, Arrays | str]]:
        """Yield the batch and its answer; where there is none, each of its requests with its own.

        One request that the candidate refuses leaves out no other.
        """
        answer = self._answer(batch)
        if isinstance(answer, str) and batch.parts:
            for request in batch.parts:
                yield request, self._answer(request)
        else:
            yield batch, answer

    def _answer(self, batch: RecordedRequest) -> Arrays | str:
        """Return the candidate's answer, or the reason why there is none."""
        try:
            return self._asked(batch)
        except (tf.errors.OpError, UserError, ValueError, TypeError):
            return (
                f"by {batch.signature} with inputs of a shape or type, or a text, that the"
                " candidate's does not take"
            )

    def _asked(self, batch: RecordedRequest) -> Arrays | str:
        """Return the answer of the signature, as `_answer` does. Raises what it raises."""
        signature = self._signatures.get(batch.signature)
        if signature is None:
            answer = self._texts.answer(batch.signature, batch.inputs) if self._texts else None
            if answer is not None:
                return answer
            return f"by {batch.signature}, a signature that the candidate does not have"
        if set(signature.structured_input_signature[1]) != set(batch.inputs):
            return f"by {batch.signature} with inputs that the candidate's does not take"
        inputs = {name: tf.constant(array) for name, array in batch.inputs.items()}
        return {name: tensor.numpy() for name, tensor in signature(**inputs).items()}

    def _choices(self, outputs: Arrays) -> Choices | None:
        """Return actions and Q-values of an answer; None if it has neither, or no such arrays."""
        actions, q_values = outputs.get("action"), outputs.get("q_values")
        if q_values is not None and not _is_of(q_values, 2, "fiu"):
            return None
        if actions is None and q_values is not None and q_values.shape[1]:
            actions = q_values.argmax(axis=1) + self._action_start
        if actions is None or not _is_of(actions, 1, "iu"):
            return None
        return Choices(actions, q_values)

    def _observations(self, batch: RecordedRequest, shape: tuple[int, ...]) -> np.ndarray:
        """Return the observations of the candidate's shape, [N, *shape]; none where it has none."""
        try:
            found = self._read(batch, shape)
        except (UserError, ValueError):
            found = None
        return np.zeros((0, *shape)) if found is None else found

    def _read(self, batch: RecordedRequest, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the observations of a batch, None for those of another kind.

        Raises UserError or ValueError for texts that the candidate does not take.
        """
        if "observation" in batch.inputs:
            observations = batch.inputs["observation"]
            is_alike = observations.shape[1:] == shape and observations.dtype.kind in "fiub"
            return observations if is_alike else None
        read = self._texts.observations(batch.inputs) if self._texts else None
        if read is not None:
            return read
        if TEXT in batch.inputs and self._tokenizer is not None:
            require_strings(batch.inputs)
            choices = batch.inputs.get(CHOICES)
            beside = None if choices is None else choices.tolist()
            return self._tokenizer.observations(batch.inputs[TEXT].tolist(), beside)
        if BYTES not in batch.inputs or self._spec is None:
            return None
        if batch.inputs[BYTES].dtype != object:
            return None
        dtype = np.dtype(self._spec.dtype.as_numpy_dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        strings = [text for text in batch.inputs[BYTES].ravel().tolist() if len(text) == size]
        return np.frombuffer(b"".join(strings), dtype).reshape(-1, *shape)


def _is_of(array: np.ndarray, rank: int, kinds: str) -> bool:
    return array.ndim == rank and array.dtype.kind in kinds


def read_range(manifest: dict[str, Any], shape: tuple[int, ...] | None) -> Range | None:
    """Return the range of training's observations, by the manifest.

    None where it says nothing, as for images. Raises UserError if it does not fit the shape.
    """
    entry = manifest.get("observation_range")
    if entry is None or shape is None:
        return None
    try:
        low = np.broadcast_to(np.asarray(entry["min"], np.float64), shape)
        high = np.broadcast_to(np.asarray(entry["max"], np.float64), shape)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "The manifest's observation_range is not a min and a max for each component of an"
            " observation."
        ) from error
    return Range(low, high)
