"""The systems that are timed: each is a name and a function.

Standard library only, so that a peer's own environment can read it.
"""

import json
import os
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.speed import ours, peers
from benchmarks.speed.settings import Setting
from benchmarks.speed.stopwatch import Stopwatch
from dqn_tf.support.errors import UserError

BASE = "Stable-Baselines3"  # ratios are to it
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "XLA_FLAGS",
)
# a program that prints the names of all packages that its interpreter has
LIST_PACKAGES = """
import json
from importlib import metadata

names = [package.metadata["Name"] for package in metadata.distributions()]
print(json.dumps([name.lower().replace("_", "-") for name in names if name]))
"""


class System(NamedTuple):
    """A DQN that can be timed.

    `run(setting, seed, watch)` does the setting's work, shows the watch each step, and returns the
    replay's bytes per transition.
    """

    key: str  # in flags
    name: str
    run: Callable[[Setting, int, Stopwatch], float]
    packages: tuple[str, ...]  # that it needs; their versions are recorded
    threads: str  # whose, how many
    envs: int = 1  # stepped together where a setting says one
    timed_at: tuple[str, ...] = ("anchor", "zoo", "memory")  # unless --systems says otherwise
    grows: bool = True  # takes several environments, and a replay filled beforehand
    seeds: bool = False  # trains several agents at once
    extra: str = "bench"  # of setup.py
    environment: tuple[tuple[str, str], ...] = ()  # variables for its process


ALL = ("anchor", "zoo", "atari", "atari8", "memory", "scaling")
ENGINES = ("host", "graph")  # keys that are engines of train.py too
OURS = ("tensorflow", "keras", "gymnasium", "numpy")
SYSTEMS = [
    System(
        "host", "dqn_tf host", ours.host, OURS, "TensorFlow's default", timed_at=(*ALL, "solve")
    ),
    System(
        "graph",
        "dqn_tf graph",
        ours.graph,
        OURS,
        "TensorFlow's default",
        envs=10,
        timed_at=("anchor", "zoo", "memory", "scaling", "solve"),
        seeds=True,
    ),
    System(
        "lag",
        "dqn_tf host, `--lag=1`",
        ours.lagged,
        OURS,
        "TensorFlow's default",
        timed_at=("anchor",),
    ),
    System(
        "textbook",
        "dqn_tf host, textbook loop",
        ours.textbook,
        OURS,
        "TensorFlow's default",
        timed_at=("anchor",),
    ),
    System(
        "sb3",
        BASE,
        peers.stable_baselines3,
        ("stable-baselines3", "torch", "gymnasium", "numpy"),
        "PyTorch: 1, for CNNs its default",
        timed_at=ALL,
    ),
    System(
        "sbx",
        "sbx",
        peers.sbx,
        ("sbx-rl", "stable-baselines3", "jax", "torch", "gymnasium", "numpy"),
        "JAX's default, PyTorch: 1",
    ),
    System(
        "tf_agents",
        "TF-Agents",
        peers.tf_agents,
        ("tf-agents", "tf-keras", "tensorflow", "gym", "numpy"),
        "TensorFlow's default",
        grows=False,
        extra="tf-agents",
        environment=(("TF_USE_LEGACY_KERAS", "1"),),
    ),
    System(
        "rejax",
        "rejax",
        peers.rejax,
        ("rejax", "gymnax", "jax", "flax", "numpy"),
        "JAX's default",
        envs=10,
        timed_at=("anchor",),
        grows=False,
        seeds=True,
        extra="rejax",
    ),
]
BY_KEY = {system.key: system for system in SYSTEMS}


def threads(system: System) -> str:
    """Say what sets the number of threads in this process."""
    variables = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return ", ".join([system.threads, *variables])


def why_not(system: System, python: str) -> str:
    """Say in a sentence why the system cannot run under `python`; empty if it can.

    Raises UserError if `python` is not an interpreter.
    """
    try:
        process = subprocess.run(
            [python, "-c", LIST_PACKAGES], capture_output=True, text=True, check=False
        )
        installed = json.loads(process.stdout)
    except (OSError, ValueError) as error:
        raise UserError(
            f"--python={system.key}={python}: that is not a Python interpreter that runs."
        ) from error
    missing = [package for package in system.packages if package not in installed]
    if not missing:
        return ""
    return (
        f"{system.name} is skipped: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
        f" not installed. Type: pip install -e '.[{system.extra}]', or name another interpreter"
        f" with --python={system.key}=PATH"
    )
