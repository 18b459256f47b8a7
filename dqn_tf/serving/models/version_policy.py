"""Which versions lie in a directory, and which of them a policy wants."""

import dataclasses
import os
from pathlib import Path

NEWEST = 2**63 - 1


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Either the newest `latest` versions, or, if `latest` is 0, the `specific` ones, or, without
    those, all.
    """

    latest: int = 1
    specific: tuple[int, ...] = ()

    def wanted(self, versions: dict[int, Path]) -> list[int]:
        """The versions of `versions` that are to be served, newest first."""
        newest_first = sorted(versions, reverse=True)
        if self.latest:
            return newest_first[: self.latest]
        return (
            [version for version in newest_first if version in self.specific]
            if self.specific
            else newest_first
        )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What a model's configuration says."""

    name: str
    base_path: str
    policy: VersionPolicy = VersionPolicy()
    labels: tuple[tuple[str, int], ...] = ()


def versions(base_path: str) -> dict[int, Path] | None:
    """Number → path of everything in `base_path` whose name is a number; None if there is no such
    directory.

    Leading zeros are allowed; a file counts, too, and fails when it is loaded. Anything else is
    none of the server's business.
    """
    try:
        names = sorted(os.listdir(base_path))
    except OSError:
        return None
    numbers = {
        int(name): Path(base_path) / name
        for name in names
        if name.isascii() and name.isdecimal() and len(name) <= 40
    }
    return {number: path for number, path in numbers.items() if number <= NEWEST}
