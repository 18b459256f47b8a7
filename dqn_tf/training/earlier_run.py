"""The run that another one begins with: its configuration, its spaces, its newest checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from dqn_tf.config.dqn_config import DQNConfig
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


def parted_tokens(before: Any, now: list[str] | None) -> list[str]:
    """Say where two vocabularies of one size part."""
    if not before or not now or len(before) != len(now):
        return []
    pairs = enumerate(zip(before, now, strict=True))
    parted = next((f"{n} is {a!r} there and {b!r} here" for n, (a, b) in pairs if a != b), None)
    return [f"token {parted}"] if parted else []
