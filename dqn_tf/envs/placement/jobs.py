"""Kinds of jobs, and what machines have left: all that placing jobs is about."""

from __future__ import annotations

from typing import NamedTuple

Machine = tuple[int, int]  # cores and GB that are free


class Kind(NamedTuple):
    """A kind of job.

    Attributes:
      name: what it is.
      cores: that it takes until the end.
      memory: GB that it takes until the end.
      value: the reward of placing it.
      chance: of being the next job that arrives; those of all kinds add up to 1.
    """

    name: str
    cores: int
    memory: int
    value: float
    chance: float


# Small jobs come often and are worth little; the rare large one is worth more than what could stand
# in its place. So it pays to turn small jobs away while time and room for a large one are left.
KINDS = (
    Kind("web server", 1, 1, 1.0, 0.40),
    Kind("cache", 1, 3, 2.0, 0.25),
    Kind("batch job", 3, 1, 2.0, 0.20),
    Kind("training run", 4, 4, 8.0, 0.15),
)


def fits(kind: Kind, machine: Machine) -> bool:
    """Tell whether a machine has room for a job."""
    return kind.cores <= machine[0] and kind.memory <= machine[1]


def place(kind: Kind, machine: Machine) -> Machine:
    """Return what a machine has left with the job on it."""
    return machine[0] - kind.cores, machine[1] - kind.memory
