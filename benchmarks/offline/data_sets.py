"""The data sets of an environment, by name, and where they lie."""

from pathlib import Path
from typing import Any

from dqn_tf.envs.registry import directory_name

SETS = ("random", "medium", "replay", "expert")
NONE = "none"  # the name of the data set where there is none
SEED = 1000  # of the run that collects; the others' episodes have the next ones
BEST = "-best10"  # ends the name of the best tenth of a set's episodes
# What a preset had when the sets were made, where it has other values today: all that is compared
# here has these.
PRESET_THEN: dict[str, dict[str, Any]] = {
    "LunarLander-v3": {
        "gamma": 0.99,
        "learning_rate": 6.3e-4,
        "epsilon_decay_env_steps": 12_000,
        "env_steps_per_update": 1.0,
        "clip_targets": False,
        "v_min": -200.0,
    },
}


def path(directory: Path, env: str, name: str) -> Path:
    """Return the file of a data set."""
    return directory / directory_name(env) / f"{name}.npz"
