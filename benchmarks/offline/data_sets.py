"""The data sets of an environment, by name, and where they lie."""

from pathlib import Path

from dqn_tf.envs.registry import directory_name

SETS = ("random", "medium", "replay", "expert")
NONE = "none"  # the name of the data set where there is none
SEED = 1000  # of the run that collects; the others' episodes have the next ones
BEST = "-best10"  # ends the name of the best tenth of a set's episodes


def path(directory: Path, env: str, name: str) -> Path:
    """Return the file of a data set."""
    return directory / directory_name(env) / f"{name}.npz"
