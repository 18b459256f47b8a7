"""From what the user named to one exported version on disk and what its manifest says.

Opens no file but JSON.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.support.errors import UserError

PROGRAM = "saved_model.pb"
MANIFEST = Path("assets.extra") / "dqn_tf.json"
REPORT = "evaluation.json"


class Version(NamedTuple):
    """One exported version; the manifest is empty where there is none."""

    path: Path
    manifest: dict[str, Any]

    @property
    def number(self) -> int | None:
        """Its version number, if its directory is named after one."""
        return _number(self.path)


def locate(name: str) -> Version:
    """The version that `name` stands for.

    `name` is one version's directory, a base directory (the highest number that holds a
    saved_model.pb) or a run directory (the export that its evaluation.json names). Raises UserError
    for everything else; a file is never opened.
    """
    path = Path(name)
    if path.is_file():
        raise UserError(
            f"{path} refused: evaluate.py loads SavedModels only, each a directory with a {PROGRAM}"
            " in it. The file was not opened."
        )
    if not path.is_dir():
        raise UserError(f"{path}: there is no such directory.")
    try:
        if not (path / PROGRAM).is_file() and (path / REPORT).is_file():
            path = _exported(path)
        elif not (path / PROGRAM).is_file():
            path = _newest(path)
        manifest = path / MANIFEST
        return Version(path, _read(manifest) if manifest.is_file() else {})
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}.") from error


def _exported(run: Path) -> Path:
    named = _read(run / REPORT).get("export")
    if not isinstance(named, str):
        raise UserError(f"{run / REPORT} names no export, so there is nothing to evaluate.")
    if not (Path(named) / PROGRAM).is_file():
        raise UserError(
            f"{run / REPORT} names the export {named}, and no SavedModel is there. Where it was"
            " moved, name its new place."
        )
    return Path(named)


def _newest(base: Path) -> Path:
    whole = [
        path
        for path in _subdirectories(base)
        if _number(path) is not None and (path / PROGRAM).is_file()
    ]
    if whole:
        return max(whole, key=_number)
    if (base / "checkpoints").is_dir():
        raise UserError(
            f"{base} is a run that has not finished, so it has no export yet. Go on with: python"
            f" train.py --resume={base}"
        )
    inner = next(
        (
            path
            for path in _subdirectories(base)
            if any((version / PROGRAM).is_file() for version in _subdirectories(path))
        ),
        None,
    )
    raise UserError(
        f"{base} holds no SavedModel: no {PROGRAM} and no numbered version with one."
        + (f" Did you mean {inner}?" if inner else "")
    )


def _subdirectories(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir())


def _number(path: Path) -> int | None:
    name = path.resolve().name
    return int(name) if name.isascii() and name.isdigit() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is damaged: it holds no JSON object.")
    return values
