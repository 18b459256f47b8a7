"""Finds the exported version that a path stands for, and reads its manifest.

Only JSON files are opened here.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.support import files
from dqn_tf.support.command_line import resume_command
from dqn_tf.support.errors import UserError
from dqn_tf.support.json_files import read_object, require_kinds
from dqn_tf.support.version_names import version_of

PROGRAM = "saved_model.pb"
MANIFEST = Path("assets.extra") / "dqn_tf.json"
REPORT = "evaluation.json"
CONFIG = "config.json"
# what is read of a manifest
ENTRIES = {
    "env": str,
    "env_steps": int,
    "weights": str,
    "weights_sha256": str,
    "config": dict,
    "score": dict,
    "spaces": {"observation_shape": list, "observation_dtype": str, "action_start": int},
    "action_meanings": list,
    "tokens": list,
    "tokenizer": str,
    "observation_parts": list,
    "observation_range": dict,
}


class Version(NamedTuple):
    """An exported version; its manifest is empty where the file is missing."""

    path: Path
    manifest: dict[str, Any]

    @property
    def number(self) -> int | None:
        """The version number, or None if the directory's name is not a number."""
        return version_number(self.path)


def find_export(name: str) -> Version:
    """Return the version that `name` stands for.

    `name` is a version's directory, a base directory (the highest number that holds a
    saved_model.pb is taken) or a run directory (the export that its evaluation.json names is
    taken). Raises UserError for everything else; a file is never opened.
    """
    path = Path(os.path.expanduser(name))
    if path.is_file():
        raise UserError(
            f"{path} refused: only SavedModels are loaded, each a directory with a {PROGRAM} in it."
            " The file was not opened."
        )
    if not path.is_dir():
        raise UserError(f"{path}: there is no such directory.")
    try:
        if not (path / PROGRAM).is_file():
            path = _export_of_run(path) if (path / REPORT).is_file() else _newest_version(path)
        return Version(path, _read_manifest(path))
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}.") from error


def require_same_env(directory: Path, env: str, spaces: Mapping[str, Any] | None = None) -> None:
    """Raise UserError if `directory` holds versions of another environment's agent.

    So is one of the same id with other `spaces`, as `Spaces.to_dict` gives them. A server would
    swap one for the other. Versions that do not say what they play are not judged.
    """
    about = _newest_about(directory)
    other = about.get("env", env)
    if other != env:
        raise UserError(
            f"{directory} holds versions of an agent for {other}, and a server would swap one for"
            f" the other: give {env} another directory."
        )
    differences = differing(about.get("spaces"), spaces or {})
    if differences:
        raise UserError(
            f"{directory} holds versions of an agent for {env} with {', '.join(differences)}, and a"
            " server would swap one for the other: give this one another directory."
        )


def default_directory(directory: Path, env: str, spaces: Mapping[str, Any]) -> Path:
    """Return `directory` or, where it holds an agent of this environment with other spaces, a twin.

    That is the first of `directory-2`, `directory-3` and so on that does not.
    """
    place, number = directory, 1
    while (about := _newest_about(place)).get("env") == env:
        if not differing(about.get("spaces"), spaces):
            break
        number += 1
        place = directory.with_name(f"{directory.name}-{number}")
    return place


def _newest_about(directory: Path) -> dict[str, Any]:
    """Return the manifest of the newest version that says what it plays; empty if none does."""
    if directory.is_dir():
        for _, version in reversed(_versions(directory)):
            about = _read_manifest(version)
            if isinstance(about.get("env"), str):
                return about
    return {}


def differing(recorded: Any, spaces: Mapping[str, Any]) -> list[str]:
    """Return how the spaces of a manifest differ from those of an environment.

    Of an earlier version's, only what it knew is compared.
    """
    if not isinstance(recorded, dict):
        return []
    return [
        f"{name} {recorded[name]} for {value}"
        for name, value in spaces.items()
        if name in recorded and recorded[name] != value
    ]


def action_start(manifest: dict[str, Any]) -> int:
    """Return what the environment calls action 0, by a manifest."""
    return (manifest.get("spaces") or {}).get("action_start") or 0


def version_number(path: Path) -> int | None:
    """Return the number that a directory is named after, if it is named after one.

    A link named `newest` is of the number that it leads to.
    """
    own, led_to = version_of(path.name), version_of(path.resolve().name)
    return led_to if own is None else own


def _read_manifest(version: Path) -> dict[str, Any]:
    """Return a version's manifest, empty where there is none. Raises UserError if it is damaged."""
    path = version / MANIFEST
    if not path.is_file():
        return {}
    manifest = read_object(path)
    require_kinds(path, manifest, ENTRIES)
    return manifest


def _export_of_run(run: Path) -> Path:
    """Return the version that a run published, where it is now.

    Together with the run it may have been moved, and another project may be where it was. So the
    place beside the run comes first, and a version of other weights is not the run's.
    """
    report = read_object(run / REPORT)
    export = report.get("export")
    if not isinstance(export, str):
        raise UserError(f"{run / REPORT} names no export, so there is nothing to evaluate.")
    recorded = None
    with contextlib.suppress(OSError, UserError):  # an export is found without it, too
        recorded = read_object(run / CONFIG).get("run_dir")
    places = [Path(export)]
    if isinstance(recorded, str):
        places.insert(0, files.moved(Path(export), Path(recorded), run))
    for place in places:
        if (place / PROGRAM).is_file() and _has_weights_of(place, report):
            return place
    other = " with the weights of this run" if (Path(export) / PROGRAM).is_file() else ""
    raise UserError(
        f"{run / REPORT} names the export {export}, and no SavedModel is there{other}. If it was"
        " moved, name its new place."
    )


def _has_weights_of(version: Path, report: dict[str, Any]) -> bool:
    """Tell whether the version may hold the last or the best weights of a run's report."""
    weights = _read_manifest(version).get("weights_sha256")
    best = report.get("best")
    known = [report.get("weights_sha256")]
    if isinstance(best, dict):
        known.append(best.get("weights_sha256"))
    return weights is None or not any(known) or weights in known


def _versions(base: Path) -> list[tuple[int, Path]]:
    """Return numbers and paths of the versions that a server finds in a directory, ascending."""
    numbered = [(version_of(path.name), path) for path in _subdirectories(base)]
    return sorted(
        (number, path)
        for number, path in numbered
        if number is not None and (path / PROGRAM).is_file()
    )


def _newest_version(base: Path) -> Path:
    versions = _versions(base)
    if versions:
        return versions[-1][1]
    if (base / "checkpoints").is_dir() or (base / "metrics.csv").is_file():
        raise UserError(
            f"{base} is a run that has not finished, so it has no export yet. Go on with:"
            f" {resume_command(base)}"
        )
    hint = next((path for path in _subdirectories(base) if _has_version(path)), None)
    raise UserError(
        f"{base} holds no SavedModel: no {PROGRAM} and no numbered version with one."
        + (f" Did you mean {hint}?" if hint else "")
    )


def _has_version(base: Path) -> bool:
    return any((version / PROGRAM).is_file() for version in _subdirectories(base))


def _subdirectories(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir())
