"""Publishes an agent as the next version of a directory, laid out as TensorFlow Serving expects it.

    saved_models/CartPole-v1/3/
        saved_model.pb
        variables/
        assets.extra/dqn_tf.json
        assets.extra/tf_serving_warmup_requests
        assets.extra/tokenizer.json                             of a language model
        assets.extra/model.tflite, assets.extra/model.onnx      if asked for

A version is written aside, loaded again, compared with the live agent, and only then renamed to its
number. No version is ever overwritten.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from dqn_tf.agent.dqn import DQN
from dqn_tf.evaluation.find_export import MANIFEST, PROGRAM, require_same_env
from dqn_tf.export.flags import FEWEST_KEPT
from dqn_tf.export.gate import gate, last_line
from dqn_tf.export.manifest import make_manifest
from dqn_tf.export.sample_requests import make_warmup_requests, write_warmup
from dqn_tf.export.signatures import ExportModule
from dqn_tf.run_files.run_directory import CHECKPOINTS, CONFIG
from dqn_tf.support import files
from dqn_tf.support.errors import UserError
from dqn_tf.support.plain_paths import plain
from dqn_tf.support.version_names import LARGEST_VERSION, version_of

VARIABLES = Path("variables") / "variables.index"


def export(
    agent: DQN,
    directory: str | Path,
    observations: np.ndarray,
    about: dict[str, Any],
    formats: Sequence[str] = ("savedmodel",),
    fresh: bool = False,
    once: bool = False,
    rounding: float | None = None,
) -> Path:
    """Publish the agent's online network as the next version in `directory`; return its path.

    `observations` [n, *shape], seen in the environment, are what the gate compares on. `about` goes
    into the manifest. With `fresh` the gate loads everything in a process of its own. With `once` a
    version that says the very same of itself is returned, if there is one. With `rounding` a
    language model's matrices are stored as float16, and Q-values may differ by so much. Raises
    UserError, with nothing published, if the directory cannot be written, a format cannot be made,
    or what was written does not answer as the agent does.
    """
    directory = Path(os.path.expanduser(directory))
    place = directory.resolve()
    if place.name == CHECKPOINTS and (place.parent / CONFIG).is_file():
        raise UserError(f"{directory} is where a run's checkpoints lie: give another directory.")
    if isinstance(about.get("env"), str):
        require_same_env(directory, about["env"], about.get("spaces"))
    formats = list(formats)
    if rounding is not None:
        if not agent.online.torso.halvable():
            raise UserError(
                "--float16 is for the matrices of a language model, and this agent has none."
            )
        about = about | {"stored_as": "float16", "tolerance": rounding}
    manifest = make_manifest(about, agent, formats)
    if once and (published := _same_version(directory, manifest)) is not None:
        return published
    module = ExportModule(agent, manifest, half=rounding is not None)
    try:
        with files.unfinished(directory) as aside:
            aside.mkdir(parents=True)
            with plain(aside) as version:
                _write_saved_model(module, agent, observations, list(manifest), version)
                for name, text in agent.online.torso.extra_files().items():
                    (version / MANIFEST).with_name(name).write_text(text, encoding="utf-8")
                files.write_json(version / MANIFEST, manifest)
                for name in formats:
                    _write_format(name, agent, version)
                gate(version, agent, module, observations, manifest, formats, fresh, rounding)
            return _rename_to_next_version(aside, directory)
    except OSError as error:
        raise UserError(
            f"The export directory {directory} cannot be written: {error.strerror}. Nothing was"
            " published."
        ) from error


def published_versions(directory: Path) -> list[int]:
    """Return the numbers of the published versions, ascending."""
    if not directory.is_dir():
        return []
    numbers = [version_of(path.name) for path in directory.iterdir()]
    return sorted(number for number in numbers if number is not None)


def prune(directory: Path, keep: int) -> list[int]:
    """Delete the oldest versions until `keep` whole ones are left; return their numbers.

    The newest two are never deleted. What is not a whole version that dqn_tf published is not
    counted and not touched. Raises UserError if a version cannot be deleted.
    """
    whole = [number for number in published_versions(directory) if _is_whole(directory, number)]
    outdated = whole[: -max(keep, FEWEST_KEPT)]
    for number in outdated:
        try:
            files.delete(directory / str(number))
        except OSError as error:
            raise UserError(
                f"Version {number} in {directory} cannot be deleted: {error.strerror}."
            ) from error
    return outdated


def _write_saved_model(
    module: ExportModule, agent: DQN, observations: np.ndarray, keys: list[str], version: Path
) -> None:
    """Write the SavedModel and its warm-up file. Raises OSError."""
    requests = make_warmup_requests(
        module.input_specs(), agent.spaces, observations, keys, module.tokenizer
    )
    try:
        tf.saved_model.save(module, str(version), signatures=module.endpoints)
        write_warmup(version, requests)
    except tf.errors.OpError as error:  # how TensorFlow reports a full disk
        raise OSError(0, files.reason_of(error.message)) from error


def _write_format(name: str, agent: DQN, version: Path) -> None:
    """Write one of the formats beside the SavedModel."""
    with _converter_errors_named(name):
        if name == "tflite":
            from dqn_tf.export.formats.tflite import write_tflite

            write_tflite(agent, version)
        elif name == "onnx":
            from dqn_tf.export.formats.onnx import write_onnx  # needs the extra [onnx]

            write_onnx(agent, version)


@contextlib.contextmanager
def _converter_errors_named(name: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # each converter has its own kinds
        raise UserError(
            f"This network cannot be made a model for {name}: {last_line(error)}. Nothing was"
            " published."
        ) from error


def _rename_to_next_version(aside: Path, directory: Path) -> Path:
    """Give a finished version the next free number; return its path."""
    while True:
        number = max(published_versions(directory), default=0) + 1
        if number > LARGEST_VERSION:
            raise UserError(
                f"{directory} holds version {number - 1}, and no server takes a larger one: give"
                " the agent another directory."
            )
        version = directory / str(number)
        try:
            # This fails on a directory with content, so two exports at once get two numbers.
            files.rename(aside, version)
        except OSError:
            if not version.exists():
                raise
            continue
        return version


def _same_version(directory: Path, manifest: dict[str, Any]) -> Path | None:
    """Return the newest whole version with this manifest, or None."""
    text = json.dumps(manifest, sort_keys=True)
    for number in reversed(published_versions(directory)):
        if not _is_whole(directory, number):
            continue
        version = directory / str(number)
        with contextlib.suppress(OSError, ValueError, RecursionError):
            found = json.loads((version / MANIFEST).read_text(encoding="utf-8"))
            if json.dumps(found, sort_keys=True) == text:
                return version
    return None


def _is_whole(directory: Path, number: int) -> bool:
    version = directory / str(number)
    return all((version / part).is_file() for part in (PROGRAM, VARIABLES, MANIFEST))
