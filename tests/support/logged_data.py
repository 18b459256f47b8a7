"""Logged data by hand: five steps of two episodes, and files of it."""

import csv
from pathlib import Path

import numpy as np

from dqn_tf.envs.spaces import Spaces

VECTORS = Spaces((2,), "float32", 3, action_start=1)
NUMBERS = Spaces((), "int64", 2, categories=4, category_start=10)
PIXELS = Spaces((2, 2, 1), "uint8", 3, picture="")
MASKED = Spaces((2,), "float32", 3, masked=True)


def columns() -> dict[str, np.ndarray]:
    """Columns for VECTORS: an episode of 3 steps that terminated and one of 2 that was cut."""
    return {
        "observation": np.arange(10, dtype=np.float32).reshape(5, 2) / 4,
        "action": np.array([1, 2, 3, 3, 1]),
        "reward": np.array([1.0, 0.5, -2.0, 0.25, 4.0]),
        "terminated": np.array([0, 0, 1, 0, 0], bool),
        "truncated": np.array([0, 0, 0, 0, 1], bool),
        "episode": np.array([7, 7, 7, 3, 3]),
    }


def finals() -> dict[str, np.ndarray]:
    """The final observations that go with `columns`."""
    return {"final_observation": np.array([[8, 8], [9, 9]], np.float32)}


def masks() -> dict[str, np.ndarray]:
    """Columns for MASKED, whose actions are counted from 0."""
    legal = np.ones((5, 3), bool)
    legal[1, 2] = False
    return columns() | {"action": columns()["action"] - 1, "action_mask": legal}


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write an npz file as users do."""
    np.savez(path, **arrays)
    return path


def write_csv(path: Path, arrays: dict[str, np.ndarray], encoding: str = "utf-8") -> Path:
    """Write a CSV file, a column with a shape as one column for each number."""
    flat: dict[str, list] = {}
    for name, values in arrays.items():
        if values.ndim == 1:
            flat[name] = values.tolist()
            continue
        for place, column in enumerate(values.reshape(len(values), -1).T):
            flat[f"{name}_{place}"] = column.tolist()
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(flat)
        writer.writerows(zip(*flat.values(), strict=True))
    return path
