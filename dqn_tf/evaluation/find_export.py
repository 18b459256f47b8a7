"""Finds the exported version that a path stands for, and reads its manifest.

Only JSON files are opened here.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.support import files
from dqn_tf.support.errors import UserError

PROGRAM = "saved_model.pb"
MANIFEST = Path("assets.extra") / "dqn_tf.json"
REPORT = "evaluation.json"
CONFIG = "config.json"


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
            f"{path} refused: evaluate.py loads SavedModels only, each a directory with a {PROGRAM}"
            " in it. The file was not opened."
        )
    if not path.is_dir():
        raise UserError(f"{path}: there is no such directory.")
    try:
        if not (path / PROGRAM).is_file():
            path = _export_of_run(path) if (path / REPORT).is_file() else _newest_version(path)
        manifest = path / MANIFEST
        return Version(path, _read_json(manifest) if manifest.is_file() else {})
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}.") from error


def require_same_env(directory: Path, env: str) -> None:
    """Raise UserError if `directory` holds versions of another environment's agent.

    A server would swap one for the other. Versions that do not say what they play are not judged.
    """
    if not directory.is_dir():
        return
    for _, version in reversed(_versions(directory)):
        manifest = version / MANIFEST
        other = _read_json(manifest).get("env") if manifest.is_file() else None
        if isinstance(other, str) and other != env:
            raise UserError(
                f"{directory} holds versions of an agent for {other}, and a server would swap one"
                f" for the other: give {env} another directory."
            )
        if isinstance(other, str):
            return


def version_number(path: Path) -> int | None:
    """Return the number that a directory is named after, if it is named after one."""
    name = path.resolve().name
    return int(name) if is_version_name(name) else None


def is_version_name(name: str) -> bool:
    """Return whether a directory's name is a version number."""
    return name.isascii() and name.isdigit()


def _export_of_run(run: Path) -> Path:
    """Return the version that a run published, where it is now.

    Together with the run it may have been moved, and another project may be where it was. So the
    place beside the run comes first, and a version of other weights is not the run's.
    """
    report = _read_json(run / REPORT)
    export = report.get("export")
    if not isinstance(export, str):
        raise UserError(f"{run / REPORT} names no export, so there is nothing to evaluate.")
    recorded = _read_json(run / CONFIG).get("run_dir") if (run / CONFIG).is_file() else None
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
    manifest = version / MANIFEST
    weights = _read_json(manifest).get("weights_sha256") if manifest.is_file() else None
    best = report.get("best")
    known = [report.get("weights_sha256")]
    if isinstance(best, dict):
        known.append(best.get("weights_sha256"))
    return weights is None or not any(known) or weights in known


def _versions(base: Path) -> list[tuple[int, Path]]:
    """Return numbers and paths of the versions that hold a SavedModel, ascending."""
    numbered = [(version_number(path), path) for path in _subdirectories(base)]
    return sorted(
        (number, path)
        for number, path in numbered
        if number is not None and (path / PROGRAM).is_file()
    )


def _newest_version(base: Path) -> Path:
    versions = _versions(base)
    if versions:
        return versions[-1][1]
    if (base / "checkpoints").is_dir():
        raise UserError(
            f"{base} is a run that has not finished, so it has no export yet. Go on with: python"
            f" train.py --resume={base}"
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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object.")
    return values
