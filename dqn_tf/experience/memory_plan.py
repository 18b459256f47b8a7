"""How much memory a run's replay takes, before any of it is taken."""

import dataclasses
import math
import os

from dqn_tf.config.dqn_config import DQNConfig, memory_bytes
from dqn_tf.envs.spaces import Spaces
from dqn_tf.experience import transitions
from dqn_tf.experience.frames import bytes_per_frame, numbered_spaces, ring_size
from dqn_tf.experience.replay import bytes_per_row
from dqn_tf.support.errors import UserError

NUMBER = 8  # bytes of a row's oldest frame, and of its priority


def sized(config: DQNConfig, spaces: Spaces) -> DQNConfig:
    """With `replay_memory`, the configuration whose `replay_capacity` is the largest that fits into
    it. Raises UserError if that is none.
    """
    if config.replay_memory is None:
        return config
    memory, per_row = (
        memory_bytes(config.replay_memory),
        replay_bytes(dataclasses.replace(config, replay_capacity=10**6), spaces) / 10**6,
    )
    capacity = int(memory / per_row)
    # what does not grow with the number of rows
    while capacity > 0 and _bytes(capacity, config, spaces) > memory:
        capacity -= max(1, math.ceil((_bytes(capacity, config, spaces) - memory) / per_row))
    if capacity < 1:
        raise UserError(
            f"--replay_memory={config.replay_memory} holds not one transition: one takes"
            f" {int(per_row):,} bytes."
        )
    return dataclasses.replace(config, replay_capacity=capacity, replay_memory=None)


def replay_bytes(config: DQNConfig, spaces: Spaces) -> int:
    """Memory of the whole replay: rows, and where observations are stacks, their frames."""
    return _bytes(config.replay_capacity, config, spaces)


def require(config: DQNConfig, spaces: Spaces, runs: int = 1) -> str:
    """The plan of one run, or of several at once, in a sentence.

    Raises UserError if it does not fit into what is free.
    """
    needed, free = replay_bytes(config, spaces) * runs, free_memory()
    row = needed // config.replay_capacity
    plan = (
        f"{config.replay_capacity:,} transitions of {row:,}"
        f" bytes{f' for {runs} seeds' * (runs > 1)}, {show(needed)} of {show(free)} free"
    )
    if needed > free:
        raise UserError(
            f"--replay_capacity={config.replay_capacity} does not fit into memory: {plan}. At most"
            f" {int(free * 0.8) // row:,} would."
        )
    return f"Replay memory: {plan} ({needed / free:.0%})."


def free_memory() -> int:
    """Bytes that a process could take now."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(
                int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable")
            )
    except (OSError, StopIteration):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def show(count: int) -> str:
    """A number of bytes as a person reads it."""
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count / 2**10:.1f} KiB"


def _bytes(capacity: int, config: DQNConfig, spaces: Spaces) -> int:
    priorities = NUMBER * capacity if config.prioritized else 0
    if not spaces.stack:
        return capacity * bytes_per_row(transitions.columns(spaces)) + priorities
    rows = capacity * (bytes_per_row(transitions.columns(numbered_spaces(spaces))) + NUMBER)
    return (
        rows
        + priorities
        + ring_size(capacity, config.num_envs, config.n_step, spaces) * bytes_per_frame(spaces)
    )
