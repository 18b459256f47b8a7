"""An exported SavedModel as a policy, loaded with TensorFlow alone: no class of dqn_tf or Keras.

A SavedModel is a program that TensorFlow runs: load only what you trust.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf

from dqn_tf.envs.spaces import Spaces
from dqn_tf.evaluation.actions import require_actions
from dqn_tf.evaluation.find_export import find_export
from dqn_tf.evaluation.texts_read_once import TextsReadOnce
from dqn_tf.support.errors import UserError
from dqn_tf.support.plain_paths import plain

INPUTS = {"observation"}
OUTPUTS = {"action", "q_values"}
SAYING_NOTHING = ("", "Graph execution error:")  # lines of TensorFlow's messages


class ExportedPolicy:
    """The greedy policy of an export: observations [N, *shape] → actions [N] int64.

    Actions have the environment's own numbers. `serve` and, where the model has it, `serve_masked`
    are the signatures themselves, tensors to tensors.
    """

    def __init__(self, version: Path, spaces: Spaces) -> None:
        """Load `version` for environments with these `spaces`.

        Raises UserError if it is broken or was made for others.
        """
        self.version = version
        self.spaces = spaces
        # Kept, since a signature does not keep the variables alive.
        self.loaded = load_saved_model(version)
        self.serve = self.loaded.signatures["serving_default"]
        inputs = self.serve.structured_input_signature[1]
        outputs = self.serve.structured_outputs
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
        _require_observations_fit(version, inputs["observation"], spaces)
        _require_actions_fit(version, outputs["q_values"].shape, spaces)
        self._read_once: TextsReadOnce | None = None
        if TextsReadOnce.fits(self.loaded.signatures, spaces):
            self._read_once = TextsReadOnce(self.loaded.signatures, spaces)

    def __call__(self, observation: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Return the actions [N] int64 for observations [N, *shape] and masks [N, A].

        Observations are cast to the signature's dtype. Raises UserError if the model fails on them,
        or answers with anything but an action for each, or is given masks and knows none.
        """
        try:
            outputs = self._answer(observation.astype(self._dtype, copy=False), mask)
            actions = outputs["action"].numpy()
        except (tf.errors.OpError, ValueError) as error:
            raise UserError(
                f"{self.version} failed on observations of shape {list(observation.shape)}:"
                f" {first_line(error)}"
            ) from error
        return require_actions(actions, len(observation), self.spaces, str(self.version))

    def _answer(self, observation: np.ndarray, mask: np.ndarray | None) -> dict[str, tf.Tensor]:
        outputs: dict[str, tf.Tensor]
        if self._read_once is not None:
            outputs = self._read_once(observation, mask)
        elif mask is None:
            outputs = self.serve(observation=tf.constant(observation))
        elif self.serve_masked is None:
            raise UserError(
                f"{self.version} takes no mask: its environment gave none when it was trained."
            )
        else:
            outputs = self.serve_masked(
                observation=tf.constant(observation), action_mask=tf.constant(mask)
            )
        return outputs


def load_policy(model: str | Path) -> ExportedPolicy:
    """Load the export that `model` stands for, as `evaluate.py --model` takes it.

    The spaces are those of its manifest. Raises UserError if it is broken or has no manifest.
    """
    version = find_export(str(model))
    spaces = version.manifest.get("spaces")
    if not isinstance(spaces, dict):
        raise UserError(
            f"{version.path} does not say what it observes (no assets.extra/dqn_tf.json):"
            " export it with dqn_tf."
        )
    return ExportedPolicy(version.path, Spaces.from_dict(spaces))


def load_saved_model(version: Path) -> tf.Module:
    """Load a SavedModel that has the signature serving_default.

    Raises UserError if it is broken or has none.
    """
    try:
        with plain(version) as path:
            model = tf.saved_model.load(str(path))
    except Exception as error:  # protobuf, OSError, ValueError, KeyError, OpError: by the damage
        raise UserError(
            f"{version} cannot be loaded; the SavedModel is broken: {first_line(error)}"
        ) from error
    if "serving_default" not in getattr(model, "signatures", {}):
        raise UserError(
            f"{version} has no signature serving_default, so it is no model that dqn_tf exported."
        )
    return model


def first_line(error: Exception) -> str:
    """Return the error's type and the first line of its message that says something."""
    lines = [line for line in str(error).splitlines() if line.strip() not in SAYING_NOTHING]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def _require_observations_fit(version: Path, spec: tf.TensorSpec, spaces: Spaces) -> None:
    if not spec.shape.is_compatible_with((None, *spaces.observation_shape)):
        raise UserError(
            f"{version} takes observations of shape {spec.shape.as_list()[1:]}, and the environment"
            f" gives {list(spaces.observation_shape)}. Is --env the environment that it was"
            " trained on?"
        )
    if spec.shape.rank is not None and spec.shape[0] is not None:
        raise UserError(
            f"{version} takes batches of {spec.shape[0]} only; its signature should leave the batch"
            " open."
        )
    if not _dtype_fits(np.dtype(spec.dtype.as_numpy_dtype), spaces):
        raise UserError(
            f"{version} takes observations of type {spec.dtype.name}, and the environment gives"
            f" {spaces.observation_dtype}. Is --env the environment that it was trained on?"
        )


def _dtype_fits(model: np.dtype, spaces: Spaces) -> bool:
    environment = np.dtype(spaces.observation_dtype)
    if environment.kind != model.kind:
        return False
    # Another width of a float loses nothing that matters; the numbers of a Discrete space fit into
    # any integer; other integers must fit.
    if environment.kind == "f" or spaces.categories:
        return True
    return np.can_cast(environment, model)


def _require_actions_fit(version: Path, q_values: tf.TensorShape, spaces: Spaces) -> None:
    if q_values.rank is not None and q_values[-1] not in (None, spaces.actions):
        raise UserError(
            f"{version} chooses among {q_values[-1]} actions, and the environment has"
            f" {spaces.actions}. Is --env the environment that it was trained on?"
        )
