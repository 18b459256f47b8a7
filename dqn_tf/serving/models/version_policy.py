"""Finds the versions in a directory, and selects those that a policy asks for."""

import dataclasses
import os
from pathlib import Path

LARGEST_VERSION = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """The newest `latest` versions; if `latest` is 0, the `specific` ones, or else all."""

    latest: int = 1
    specific: tuple[int, ...] = ()

    def select(self, versions: dict[int, Path]) -> list[int]:
        """Return the versions to serve, newest first."""
        newest_first = sorted(versions, reverse=True)
        if self.latest:
            return newest_first[: self.latest]
        if self.specific:
            return [version for version in newest_first if version in self.specific]
        return newest_first


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The configuration of one model."""

    name: str
    base_path: str
    policy: VersionPolicy = VersionPolicy()
    labels: tuple[tuple[str, int], ...] = ()


def find_versions(base_path: str) -> dict[int, Path] | None:
    """Map each number in `base_path` to its path; None if there is no such directory.

    Leading zeros are allowed. A file counts, too, and fails when it is loaded. Any other name is
    ignored.
    """
    try:
        names = sorted(os.listdir(base_path))
    except (OSError, ValueError):  # ValueError: a null character in the path
        return None
    numbers = {
        int(name): Path(base_path) / name
        for name in names
        if name.isascii() and name.isdecimal() and len(name) <= 40
    }
    return {number: path for number, path in numbers.items() if number <= LARGEST_VERSION}
