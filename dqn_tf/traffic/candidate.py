"""A candidate export asked again what was served:

its agreement with the answers given, and the drift of the observations.
"""

import collections
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from dqn_tf.evaluation.find_export import Version
from dqn_tf.support.errors import UserError
from dqn_tf.traffic.agreement import Agreement, Drift
from dqn_tf.traffic.records import Served, Traffic

BYTES = "observation_bytes"  # the input that holds an observation's bytes as a string


class Replayed(NamedTuple):
    """What came out:

    by the version that had served, in all, and of the observations; None where there were none of
    the candidate's shape.
    """

    versions: dict[int, Agreement]
    total: Agreement
    drift: Drift | None


class Candidate:
    """An export, asked by the signatures that were asked then; by epsilon_greedy with the same
    seeds, so that both explore alike.
    """

    def __init__(self, version: Version) -> None:
        """Raises UserError if it cannot be loaded or is none of dqn_tf's."""
        try:
            # kept: signatures do not keep the variables alive
            self._loaded = tf.saved_model.load(str(version.path))
        except Exception as error:  # each damage has its own
            raise UserError(
                f"{version.path} cannot be loaded; the SavedModel is broken: {_first_line(error)}"
            ) from error
        self._signatures = self._loaded.signatures
        if "serving_default" not in self._signatures:
            raise UserError(
                f"{version.path} has no signature serving_default, so it is no model that dqn_tf"
                " exported."
            )
        self._start = version.manifest.get("spaces", {}).get("action_start", 0)
        inputs = self._signatures["serving_default"].structured_input_signature[1]
        specification = inputs.get("observation")
        self._shape = (
            None
            if specification is None or None in specification.shape[1:]
            else tuple(specification.shape[1:])
        )
        self._dtype = None if specification is None else specification.dtype.as_numpy_dtype
        self._ranges = ranges(version.manifest, self._shape)

    def replay(self, traffic: Traffic) -> Replayed:
        """Asks for every batch; what cannot be asked is counted in `traffic.skipped`."""
        versions: dict[int, Agreement] = collections.defaultdict(Agreement)
        total = Agreement()
        drift = Drift(self._shape, *(self._ranges or ())) if self._shape is not None else None
        for served in traffic.batches():
            if drift is not None and (observations := self._observations(served)) is not None:
                drift.add(observations)
            answer = self._ask(served)
            if isinstance(answer, str):
                traffic.skipped[answer] += served.requests
                continue
            sides = self._choice(served.outputs), self._choice(answer)
            if None in sides:
                traffic.skipped["without action and q_values"] += served.requests
                continue
            for agreement in (versions[served.version], total):
                agreement.add(served.requests, *sides)
        return Replayed(
            dict(sorted(versions.items())),
            total,
            drift if drift is not None and drift.rows else None,
        )

    @property
    def ranged(self) -> bool:
        """Whether the manifest says what training saw."""
        return self._ranges is not None

    def _ask(self, served: Served) -> dict[str, np.ndarray] | str:
        """Its answer, or in a few words why there is none."""
        signature = self._signatures.get(served.signature)
        if signature is None:
            return f"by {served.signature}, a signature that the candidate has not"
        if set(signature.structured_input_signature[1]) != set(served.inputs):
            return f"by {served.signature} with inputs that the candidate's does not take"
        try:
            answer = signature(
                **{name: tf.constant(array) for name, array in served.inputs.items()}
            )
            return {name: tensor.numpy() for name, tensor in answer.items()}
        except (tf.errors.OpError, ValueError, TypeError):
            return (
                f"by {served.signature} with inputs of a shape or type that the candidate's does"
                " not take"
            )

    def _choice(
        self, outputs: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        q_values = outputs.get("q_values")
        if "action" in outputs:
            return outputs["action"], q_values
        return None if q_values is None else (q_values.argmax(axis=1) + self._start, q_values)

    def _observations(self, served: Served) -> np.ndarray | None:
        if "observation" in served.inputs:
            observations = served.inputs["observation"]
        elif BYTES in served.inputs:
            size = int(np.prod(self._shape)) * np.dtype(self._dtype).itemsize
            strings = [text for text in served.inputs[BYTES].ravel().tolist() if len(text) == size]
            observations = np.frombuffer(b"".join(strings), self._dtype).reshape(-1, *self._shape)
        else:
            return None
        return (
            observations
            if observations.shape[1:] == self._shape and observations.dtype.kind in "fiub"
            else None
        )


def ranges(
    manifest: dict[str, Any], shape: tuple[int, ...] | None
) -> tuple[np.ndarray, np.ndarray] | None:
    """The smallest and largest value of each component in training, by the manifest; None where it
    says nothing, as for images.
    """
    found = manifest.get("observation_range")
    if found is None or shape is None:
        return None
    try:
        return tuple(
            np.broadcast_to(np.asarray(found[end], np.float64), shape) for end in ("min", "max")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            "The manifest's observation_range is not a min and a max for each component of an"
            " observation."
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
