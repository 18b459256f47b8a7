"""Publishing an agent as a SavedModel that loads wherever TensorFlow does.

    saved_models/CartPole-v1/3/saved_model.pb, variables/, assets.extra/dqn_tf.json

A version is written aside, loaded again, compared with the live agent, and only then renamed to its number.
No version is ever overwritten.
"""

import platform
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import dqn_tf
from dqn_tf import losses
from dqn_tf.agent import DQN, weights_sha256
from dqn_tf.checkpoint import sync_directory, write_json
from dqn_tf.errors import UserError

MANIFEST = Path("assets.extra") / "dqn_tf.json"
TOLERANCE = 1e-5
BATCHES = (0, 1, 32)


class Served(tf.Module):
    """What is exported: the online network behind named, batched signatures.

    serving_default: observation [B, *shape] → action [B] int64 (the environment's own numbers, greedy), q_values [B, A] float32.
    q_values: the same observation → q_values alone.
    serving_default_masked, where the environment has masks: with action_mask [B, A] bool, the greedy action among the legal ones.
    """

    def __init__(self, agent: DQN) -> None:
        super().__init__()
        network, spaces = agent.online, agent.spaces
        # Only the variables are tracked: a tracked Keras model is traced by Keras with float32, whatever it observes.
        self.network_variables = [variable if isinstance(variable, tf.Variable) else variable.value for variable in network.variables]
        shape = (None, *spaces.observation_shape)
        specification = tf.TensorSpec(shape, spaces.observation_dtype, name="observation")

        def answer(observation: tf.Tensor) -> tf.Tensor:
            observation = tf.ensure_shape(observation, shape)
            if not network.convolves:
                return network(observation)
            # TensorFlow 2.21's convolution fails on an empty batch, so that gets a row, which is then taken away again.
            batch = tf.shape(observation)[0]
            padding = [[0, tf.cast(batch == 0, tf.int32)], *[[0, 0]] * len(spaces.observation_shape)]
            return network(tf.pad(observation, padding))[:batch]

        @tf.function(input_signature=[specification])
        def serving_default(observation: tf.Tensor) -> dict[str, tf.Tensor]:
            q_values = answer(observation)
            return {"action": tf.argmax(q_values, axis=1) + spaces.action_start, "q_values": q_values}

        @tf.function(input_signature=[specification])
        def q_values(observation: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"q_values": answer(observation)}

        mask_shape = (None, spaces.actions)

        @tf.function(input_signature=[specification, tf.TensorSpec(mask_shape, tf.bool, name="action_mask")])
        def serving_default_masked(observation: tf.Tensor, action_mask: tf.Tensor) -> dict[str, tf.Tensor]:
            q_values = answer(observation)
            legal = losses.greedy(q_values, tf.ensure_shape(action_mask, mask_shape))
            return {"action": legal + spaces.action_start, "q_values": q_values}

        self.endpoints = {"serving_default": serving_default, "q_values": q_values}
        if spaces.masked:
            self.endpoints["serving_default_masked"] = serving_default_masked


def export(agent: DQN, directory: str | Path, observations: np.ndarray, manifest: dict[str, Any]) -> Path:
    """Publishes the agent's online network as the next version in `directory`; returns the version's path.

    `observations` [n, *shape], seen in the environment, are what the gate compares on. Raises UserError, with nothing
    published, if the directory cannot be written or the loaded model does not answer as the agent does.
    """
    directory = Path(directory)
    aside = directory / f".tmp-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir(parents=True)
        served = Served(agent)
        _save(served, aside)
        (aside / MANIFEST).parent.mkdir(exist_ok=True)
        write_json(aside / MANIFEST, manifest | {
            "weights_sha256": weights_sha256(agent.online.get_weights()), "spaces": agent.spaces.to_dict(),
            "config": agent.settings.to_dict(), "dqn_tf": dqn_tf.__version__, "tensorflow": tf.__version__,
            "python": platform.python_version()})
        gate(aside, agent, observations)
        for path in (*aside.rglob("*"), aside):
            sync_directory(path)
        return _publish(aside, directory)
    except OSError as error:
        raise UserError(f"--export_dir={directory} cannot be written: {error.strerror}. Nothing was published.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def gate(version: Path, agent: DQN, observations: np.ndarray) -> None:
    """Raises UserError unless the SavedModel at `version`, loaded anew, answers as the agent does, for batches 0, 1 and 32."""
    signatures = tf.saved_model.load(str(version)).signatures
    for batch in BATCHES:
        chosen = np.resize(observations, (batch, *agent.spaces.observation_shape)).astype(agent.spaces.observation_dtype)
        expected = agent(tf.constant(chosen)).numpy() if batch else np.zeros((0, agent.spaces.actions), np.float32)
        served, q_values = (signatures[name](observation=tf.constant(chosen)) for name in ("serving_default", "q_values"))
        # Its own best action, for two nearly equal Q-values may change places in rounding; float32 rounds large ones more coarsely.
        greedy = np.array_equal(served["action"], served["q_values"].numpy().argmax(axis=1) + agent.spaces.action_start)
        difference = np.abs([served["q_values"] - expected, q_values["q_values"] - expected]).max(initial=0.0)
        if agent.spaces.masked:  # with the best action forbidden, or all allowed where there is no other
            mask = expected < expected.max(axis=1, keepdims=True, initial=-np.inf)
            mask[~mask.any(axis=1)] = True
            masked = signatures["serving_default_masked"](observation=tf.constant(chosen), action_mask=tf.constant(mask))
            second = np.where(mask, masked["q_values"], -np.inf).argmax(axis=1) + agent.spaces.action_start
            greedy = greedy and np.array_equal(masked["action"], second)
        if not greedy or not difference <= TOLERANCE * np.abs(expected).max(initial=1.0):
            raise UserError(f"The exported model answered a batch of {batch} otherwise than the agent. Nothing was published.")


def versions(directory: Path) -> list[int]:
    """The published versions, ascending."""
    return sorted(int(path.name) for path in directory.glob("[0-9]*") if path.name.isdecimal() and path.name.isascii()) if directory.is_dir() else []


def _save(served: Served, path: Path) -> None:
    try:
        tf.saved_model.save(served, str(path), signatures=served.endpoints)
    except tf.errors.OpError as error:  # TensorFlow's own kind of a full disk
        raise OSError(0, error.message.splitlines()[0]) from error


def _publish(aside: Path, directory: Path) -> Path:
    while True:
        final = directory / str(max(versions(directory), default=0) + 1)
        try:
            aside.rename(final)  # fails on a directory with content, so two exports at once get two numbers
        except OSError:
            if not final.exists():
                raise
            continue
        sync_directory(directory)
        return final
