"""Rules by which schedulers place jobs. Each returns a machine, or their number to turn it away."""

from __future__ import annotations

from collections.abc import Sequence

from dqn_tf.envs.placement.jobs import Kind, Machine, fits


def first_fit(kind: Kind, machines: Sequence[Machine]) -> int:
    """Return the first machine that has room."""
    with_room = (number for number, left in enumerate(machines) if fits(kind, left))
    return next(with_room, len(machines))


def best_fit(kind: Kind, machines: Sequence[Machine]) -> int:
    """Return the machine with room that has least left, cores and GB added up."""
    with_room = [number for number, left in enumerate(machines) if fits(kind, left)]
    return min(with_room, key=lambda number: sum(machines[number]), default=len(machines))


RULES = {"best fit": best_fit, "first fit": first_fit}
