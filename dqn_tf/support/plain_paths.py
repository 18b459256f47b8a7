"""Paths that TensorFlow takes for what they are.

It takes brackets and backslashes in the path of a model's weights for a pattern of file names, as a
shell does, and then finds none. Working directories may have such names.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

PATTERN = re.compile(r"\[.*\]|\\", re.DOTALL)


def is_plain(path: str | Path) -> bool:
    """Tell whether TensorFlow finds the weights of a model below this path."""
    return PATTERN.search(str(path)) is None


@contextlib.contextmanager
def plain(path: Path) -> Iterator[Path]:
    """Yield a plain path that leads to the directory `path`: itself, or a link for a while."""
    if is_plain(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="dqn_tf-") as directory:
        link = Path(directory) / "model"
        link.symlink_to(os.path.abspath(path), target_is_directory=True)
        yield link
