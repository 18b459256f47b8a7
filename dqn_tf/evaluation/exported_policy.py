"""An exported SavedModel as a policy, with TensorFlow alone: no class of dqn_tf or Keras takes
part.

A SavedModel is a program that TensorFlow runs: load only what you trust.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError

INPUTS, OUTPUTS = {"observation"}, {"action", "q_values"}


class ServedPolicy:
    """The greedy policy behind `serving_default`: observations [N, *shape] → the environment's own
    actions [N] int64.

    `serve` and, where the model has it, `serve_masked` are the signatures themselves, tensors to
    tensors.
    """

    def __init__(self, version: Path, spaces: Spaces) -> None:
        """Loads `version` for environments with these `spaces`.

        Raises UserError if it is broken or made for others.
        """
        self._version = version
        try:
            # kept: the signature does not keep the variables alive
            self.loaded = tf.saved_model.load(str(version))
        # protobuf, OSError, ValueError, KeyError, OpError: each damage has its own
        except Exception as error:
            raise UserError(
                f"{version} cannot be loaded; the SavedModel is broken: {_first_line(error)}"
            ) from error
        if "serving_default" not in getattr(self.loaded, "signatures", {}):
            raise UserError(
                f"{version} has no signature serving_default, so it is no model that dqn_tf"
                " exported."
            )
        self.serve = self.loaded.signatures["serving_default"]
        inputs, outputs = self.serve.structured_input_signature[1], self.serve.structured_outputs
        if set(inputs) != INPUTS or not set(outputs) >= OUTPUTS:
            raise UserError(
                f"{version}: serving_default takes {sorted(inputs)} and gives {sorted(outputs)}; "
                "it should take observation and give action and q_values."
            )
        self.serve_masked = self.loaded.signatures.get("serving_default_masked")
        if spaces.masked and self.serve_masked is None:
            raise UserError(
                f"{version} has no signature serving_default_masked, and the environment says which"
                " actions are legal. Is --env the environment that it was trained on?"
            )
        self._dtype = inputs["observation"].dtype.as_numpy_dtype
        _require_fit(version, inputs["observation"], outputs["q_values"].shape, spaces)

    def __call__(self, observation: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """[N, *shape], cast to the signature's dtype, and masks [N, A] → [N] int64.

        Raises UserError if the model fails on it.
        """
        inputs = {"observation": tf.constant(observation.astype(self._dtype, copy=False))}
        try:
            answer = (
                self.serve(**inputs)
                if mask is None
                else self.serve_masked(**inputs, action_mask=tf.constant(mask))
            )
            return answer["action"].numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise UserError(
                f"{self._version} failed on observations of shape {list(observation.shape)}:"
                f" {_first_line(error)}"
            ) from error


def _require_fit(
    version: Path, observation: tf.TensorSpec, q_values: tf.TensorShape, spaces: Spaces
) -> None:
    shape, taken = observation.shape, np.dtype(observation.dtype.as_numpy_dtype)
    if not shape.is_compatible_with((None, *spaces.observation_shape)):
        raise UserError(
            f"{version} takes observations of shape {shape.as_list()[1:]}, and the environment"
            f" gives {list(spaces.observation_shape)}. Is --env the environment that it was"
            " trained on?"
        )
    if shape.rank is not None and shape[0] is not None:
        raise UserError(
            f"{version} takes batches of {shape[0]} only; its signature should leave the batch"
            " open."
        )
    given = np.dtype(spaces.observation_dtype)
    # Another width of a float loses nothing that matters; integers must fit, and the numbers of a
    # Discrete space do.
    fits = given.kind == taken.kind and (
        given.kind == "f" or spaces.categories or np.can_cast(given, taken)
    )
    if not fits:
        raise UserError(
            f"{version} takes observations of type {taken}, and the environment gives {given}. "
            "Is --env the environment that it was trained on?"
        )
    if q_values.rank is not None and q_values[-1] not in (None, spaces.actions):
        raise UserError(
            f"{version} chooses among {q_values[-1]} actions, and the environment has"
            f" {spaces.actions}. Is --env the environment that it was trained on?"
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
