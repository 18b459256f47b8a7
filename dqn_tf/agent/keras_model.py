"""What Keras calls of a `DQN`: the steps of fit, evaluate and predict, saving and loading."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.column import Batch
from dqn_tf.agent.columns import Columns
from dqn_tf.agent.networks.torsos import TorsoMaker
from dqn_tf.agent.value_checks import plain_sentences
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.spaces import Spaces
from dqn_tf.support.errors import UserError
from dqn_tf.support.imports import import_named


def _on_transitions(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of Keras's methods, which then takes transitions: looked at before it starts.

    Its `sample_weight` becomes the column weight, since Keras drops it where there is no y.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def method_on_transitions(self: TransitionModel, *args: Any, **options: Any) -> Any:
        bound = signature.bind(self, *args, **options)
        given = bound.arguments
        with plain_sentences():
            if given.pop("class_weight", None) is not None:
                raise UserError(
                    "class_weight: transitions have no classes. Weigh them one by one, with"
                    " sample_weight or the column weight."
                )
            data, targets, weights = (given.pop(name, None) for name in ("x", "y", "sample_weight"))
            is_alone = targets is None and weights is None
            given["x"] = self.columns.arrays(data if is_alone else (data, targets, weights))
            if given.get("validation_data") is not None:
                given["validation_data"] = self.columns.arrays(given["validation_data"])
            return method(*bound.args, **bound.kwargs)

    return method_on_transitions


def _on_observations(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return Keras's `predict`, which then takes observations, or the transitions that have them.

    It gives no rows for no rows.
    """

    @functools.wraps(method)
    def method_on_observations(self: TransitionModel, x: Any, *args: Any, **options: Any) -> Any:
        with plain_sentences():
            x = self.columns.observation_arrays(x)
            if hasattr(x, "shape") and not len(x):
                return np.zeros((0, self.spaces.actions), np.float32)
            return method(self, x, *args, **options)

    return method_on_observations


def _in_sentences(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of Keras's methods, which then raises the bare sentence of a UserError."""

    @functools.wraps(method)
    def method_in_sentences(self: TransitionModel, *args: Any, **options: Any) -> Any:
        with plain_sentences():
            return method(self, *args, **options)

    return method_in_sentences


class TransitionModel(tf.keras.Model):
    """A Keras model that learns from transitions: all of `DQN` that is Keras's and not DQN's.

    The subclass has `update` and `measure`, which return the metrics of one batch by name, and
    under "target" and "selected" the pair [B] that the metrics of `compile` compare.
    """

    columns: Columns
    fit_metrics: list[tf.keras.metrics.Mean]

    fit = _on_transitions(tf.keras.Model.fit)
    evaluate = _on_transitions(tf.keras.Model.evaluate)
    train_on_batch = _on_transitions(tf.keras.Model.train_on_batch)
    test_on_batch = _on_transitions(tf.keras.Model.test_on_batch)
    predict = _on_observations(tf.keras.Model.predict)
    predict_on_batch = _on_observations(tf.keras.Model.predict_on_batch)
    __call__ = _in_sentences(tf.keras.Model.__call__)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Do one update on one batch of transitions: Keras's hook for `fit`."""
        batch = self.columns.read(data, checks_values=True)
        # nothing moves before all of the batch was found to be right, not even a count
        with tf.control_dependencies(list(batch.values())):
            return self._record(batch, self.update(batch))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Measure one batch of transitions: Keras's hook for `evaluate`."""
        batch = self.columns.read(data, checks_values=True)
        with tf.control_dependencies(list(batch.values())):
            return self._record(batch, self.measure(batch))

    def predict_step(self, data: Any) -> tf.Tensor:
        """Return the Q-values [B, A] of observations, or of the observations of transitions."""
        observation = data[0] if isinstance(data, (tuple, list)) else data
        if isinstance(observation, dict):
            observation = observation["observation"]
        return self(self.columns.read_observation(observation))

    def update(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Take one gradient step on one batch; return its metrics."""
        raise NotImplementedError

    def measure(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return the metrics of one batch, without learning from it."""
        raise NotImplementedError

    @property
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Return the metrics of the update, then those of `compile`."""
        # Keras 3 counts a loss of its own, which no step here tells it
        others = [*self.fit_metrics, getattr(self, "_loss_tracker", None)]
        compiled = [
            metric for metric in super().metrics if not any(metric is other for other in others)
        ]
        return [*self.fit_metrics, *compiled]

    def _record(self, batch: Batch, measured: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Add one batch to the metrics of the epoch; return these."""
        rows = tf.shape(batch["reward"])[0]
        for mean in self.fit_metrics:
            mean.update_state(tf.reduce_mean(measured[mean.name]), sample_weight=rows)
        return self.compute_metrics(
            x=batch["observation"],
            y=measured["target"][:, tf.newaxis],
            y_pred=measured["selected"][:, tf.newaxis],
            sample_weight=batch.get("weight"),
        )

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` makes an equal agent of, with the weights of its birth."""
        return {
            "config": self.settings.to_dict(),
            "spaces": self.spaces.to_dict(),
            "num_agents": self.num_agents,
            "torso": _importable_name(self.torso_maker),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TransitionModel:
        """Return a new agent of what `get_config` returned. Raises UserError."""
        names = ("config", "spaces", "num_agents", "torso")
        if not all(name in config for name in names):
            raise UserError(f"This is no configuration of a DQN: it lacks some of {names}.")
        torso = import_named("torso", config["torso"]) if config["torso"] else None
        return cls(
            DQNConfig.from_dict(config["config"]),
            Spaces.from_dict(config["spaces"]),
            config["num_agents"],
            torso,
        )

    def save(self, filepath: str | Path, *args: Any, **options: Any) -> None:
        """Save agent, optimizer and compilation as `tf.keras.models.load_model` takes them.

        Raises UserError if the file is not to be a .keras.
        """
        if Path(filepath).suffix != ".keras":
            raise UserError(
                f"save({str(filepath)!r}): an agent is saved to a file named *.keras. To publish it"
                " as a SavedModel use dqn_tf.export_policy."
            )
        super().save(filepath, *args, **options)

    def get_build_config(self) -> None:
        """Return nothing: an agent is built when it is made."""

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Do nothing: an agent is built when it is made."""

    def get_compile_config(self) -> dict[str, Any]:
        """Return what `compile_from_config` compiles with."""
        config = super().get_compile_config()
        if config:
            config["loss"] = _serialize_loss(self.compiled_with)
        return config

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with what `get_compile_config` returned."""
        self.compile(**tf.keras.utils.deserialize_keras_object(config))


def _serialize_loss(loss: Any) -> Any:
    """Return what a loss is made of, in full: Keras 3 forgets Huber's delta."""
    made_of = tf.keras.utils.serialize_keras_object(loss)
    if isinstance(loss, tf.keras.losses.Loss):
        for name, value in getattr(loss, "_fn_kwargs", {}).items():
            made_of["config"].setdefault(name, value)
    return made_of


def kept_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of Keras's `compile` as they are kept. Raises UserError."""
    if options.get("loss_weights") is not None:
        raise UserError("compile(loss_weights=...): DQN has one loss, so there is none to weigh.")
    if options.get("jit_compile") is True:
        raise UserError(
            "compile(jit_compile=True): XLA would leave out the look at the values of each batch."
            " Leave jit_compile out; `learn` uses XLA where it pays."
        )
    return {**options, "jit_compile": False}


def _importable_name(maker: TorsoMaker | None) -> str | None:
    """Return `my_module:MyTorso` of a torso's maker. Raises UserError if it has no such name."""
    if maker is None:
        return None
    name = f"{getattr(maker, '__module__', '')}:{getattr(maker, '__qualname__', '')}"
    try:
        is_found = import_named("torso", name) is maker
    except UserError:
        is_found = False
    if not is_found:
        raise UserError(
            f"The torso {maker} cannot be saved: it is found by its name, so it must be a class or"
            " a function at the top of a module, such as my_module:MyTorso."
        )
    return name
