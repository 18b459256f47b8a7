"""The run that another one begins with: its configuration, its spaces, its newest checkpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.notation import show
from dqn_tf.envs.spaces import Spaces
from dqn_tf.run_files import checkpoint
from dqn_tf.run_files.run_directory import CONFIG, RunDirectory, seed_directories
from dqn_tf.support.errors import UserError


class EarlierRun(NamedTuple):
    """A run directory that was read."""

    config: DQNConfig
    spaces: Spaces
    latest: checkpoint.Checkpoint


def absolute(name: str) -> str:
    """Return a path that is the same in any working directory."""
    return os.path.abspath(os.path.expanduser(name)) if name else ""


def require_one(path: Path) -> None:
    """Raise UserError for a directory that holds the runs of several seeds."""
    if seeds := seed_directories(path):
        raise UserError(f"it holds the runs of {len(seeds)} seeds; name one, such as {seeds[0]}")


def is_run(path: Path) -> bool:
    """Tell whether a run was recorded there."""
    return (path / CONFIG).is_file()


def read(path: Path) -> EarlierRun:
    """Read a run directory. Raises UserError."""
    run = RunDirectory(path)
    config, spaces, _ = run.read_config()
    return EarlierRun(config, spaces, checkpoint.load_latest(run.checkpoints))


def settings(config: DQNConfig, names: Sequence[str]) -> dict[str, str]:
    """Return these settings as they are typed, by their flags."""
    return {f"--{name}": show(getattr(config, name)) for name in names}


def differing(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Say which of the values of the earlier run are others here."""
    return [
        f"{name} is {there[name]} there and {value} here"
        for name, value in here.items()
        if there[name] != value
    ]


def require_none(differences: Sequence[str], flag: str, name: str) -> None:
    """Raise UserError, with what differs from the earlier run that `--flag=name` names."""
    if differences:
        raise UserError(
            f"--{flag}={name} does not fit: {'; '.join(differences)}. Give what it was trained"
            " with."
        )


def parted_tokens(before: Any, now: list[str] | None) -> list[str]:
    """Say where two vocabularies of one size part."""
    if not before or not now or len(before) != len(now):
        return []
    pairs = enumerate(zip(before, now, strict=True))
    parted = next((f"{n} is {a!r} there and {b!r} here" for n, (a, b) in pairs if a != b), None)
    return [f"token {parted}"] if parted else []
