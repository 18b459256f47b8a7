"""Checkpoints for tests: saved, loaded, and their manifests remade as a malicious hand would."""

import json
import os
from pathlib import Path

import numpy as np

from dqn_tf.run_files import checkpoint


def save(directory: Path, step: int, rows: int = 50, **state) -> Path:
    """A checkpoint whose every number tells its step."""
    return checkpoint.save(
        directory,
        step,
        {"step": step} | state,
        {
            "state.npz": {"online/0": np.full((3, 4), step, np.float32), "empty": np.zeros((0, 2))},
            "replay.npz": {
                "observation": np.full((rows, 2), step % 256, np.uint8),
                "action": np.arange(rows),
            },
        },
    )


def load(directory: Path) -> tuple[checkpoint.Checkpoint, list[str]]:
    said = []
    return checkpoint.load_latest(directory, said.append), said


def remade(directory: Path, **changes) -> None:
    """Changes the manifest and makes its checksum right again, as only a malicious hand would."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) | changes
    del manifest["sha256"]
    path.write_text(
        json.dumps(manifest | {"sha256": checkpoint._json_sha256(manifest)}), encoding="utf-8"
    )


class Canary:
    """Its unpickling makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)
