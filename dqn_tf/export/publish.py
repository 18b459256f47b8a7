"""Publishing an agent as the next version of a directory, laid out as TensorFlow Serving expects
it.

    saved_models/CartPole-v1/3/saved_model.pb, variables/
                             3/assets.extra/dqn_tf.json, tf_serving_warmup_requests, and model.tflite, model.onnx if wanted

A version is written aside, loaded again, compared with the live agent, and only then renamed to its
number. No version is ever overwritten.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.export.flags import FEWEST
from dqn_tf.export.gate import gate, last_line
from dqn_tf.export.manifest import MANIFEST, complete
from dqn_tf.export.sample_requests import (
    WARMUP_BATCHES,
    WARMUP_EPSILON,
    fitted,
    requests,
    write_warmup,
)
from dqn_tf.export.signatures import Served
from dqn_tf.support import files
from dqn_tf.support.errors import UserError

PROGRAM, VARIABLES = Path("saved_model.pb"), Path("variables") / "variables.index"


def export(
    agent: DQN,
    directory: str | Path,
    observations: np.ndarray,
    about: dict[str, Any],
    formats: Sequence[str] = ("savedmodel",),
    fresh: bool = False,
) -> Path:
    """Publishes the agent's online network as the next version in `directory`; returns the
    version's path.

    `observations` [n, *shape], seen in the environment, are what the gate compares on; `about` goes
    into the manifest. `fresh` lets the gate load everything in a process of its own. Raises
    UserError, with nothing published, if the directory cannot be written, a format cannot be made,
    or what was written does not answer as the agent does.
    """
    directory = Path(directory)
    try:
        with files.unfinished(directory) as aside:
            aside.mkdir(parents=True)
            manifest = complete(about, agent, list(formats))
            served = Served(agent, manifest)
            with _full_disk():
                tf.saved_model.save(served, str(aside), signatures=served.endpoints)
                write_warmup(aside, warmup_records(served, agent, observations, list(manifest)))
            files.write_json(aside / MANIFEST, manifest)
            for name in formats:
                _write(name, agent, aside)
            gate(aside, agent, served, observations, manifest, list(formats), fresh)
            return _publish(aside, directory)
    except OSError as error:
        raise UserError(
            f"The export directory {directory} cannot be written: {error.strerror}. Nothing was"
            " published."
        ) from error


def warmup_records(served: Served, agent: DQN, observations: np.ndarray, keys: list[str]) -> list:
    """Each signature, for every batch of WARMUP_BATCHES."""
    signatures = {name: function.input_signature for name, function in served.endpoints.items()}
    return [
        record
        for batch in WARMUP_BATCHES
        for record in requests(
            signatures,
            agent.spaces,
            fitted(observations, batch, agent.spaces),
            WARMUP_EPSILON,
            keys,
        )
    ]


def versions(directory: Path) -> list[int]:
    """The published versions, ascending."""
    return (
        sorted(
            int(path.name)
            for path in directory.glob("[0-9]*")
            if path.name.isdecimal() and path.name.isascii()
        )
        if directory.is_dir()
        else []
    )


def prune(directory: Path, keep: int) -> list[int]:
    """Deletes the oldest versions until `keep` whole ones are left, never one of the newest two;
    returns the numbers of those deleted.

    What is not a whole version that dqn_tf published is not counted and not touched. Raises
    UserError if a version cannot be deleted.
    """
    whole = [
        number
        for number in versions(directory)
        if all(
            (directory / str(number) / part).is_file() for part in (PROGRAM, VARIABLES, MANIFEST)
        )
    ]
    outdated = whole[: -max(keep, FEWEST)]
    for number in outdated:
        try:
            files.delete(directory / str(number))
        except OSError as error:
            raise UserError(
                f"Version {number} in {directory} cannot be deleted: {error.strerror}."
            ) from error
    return outdated


def _write(name: str, agent: DQN, version: Path) -> None:
    """One of the formats beside the SavedModel."""
    try:
        if name == "tflite":
            from dqn_tf.export.formats.tflite import write_tflite

            write_tflite(agent, version)
        elif name == "onnx":
            from dqn_tf.export.formats.onnx import write_onnx  # needs the extra [onnx]

            write_onnx(agent, version)
    except OSError:
        raise
    except Exception as error:  # of whatever kind a converter has
        raise UserError(
            f"This network cannot be made a model for {name}: {last_line(error)}. Nothing was"
            " published."
        ) from error


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except tf.errors.OpError as error:  # TensorFlow's own kind of a full disk
        raise OSError(0, error.message.splitlines()[0]) from error


def _publish(aside: Path, directory: Path) -> Path:
    while True:
        final = directory / str(max(versions(directory), default=0) + 1)
        try:
            # fails on a directory with content, so two exports at once get two numbers
            files.rename(aside, final)
        except OSError:
            if not final.exists():
                raise
            continue
        return final
