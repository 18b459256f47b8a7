"""The best mean return of placing jobs, by dynamic programming.

With n jobs to come and machines free as in s, a policy that knows all of this and nothing of the
future gets

    V(n, s) = Σ_k chance_k · max(V(n - 1, s), max over machines m with room of
                                 value_k + V(n - 1, s with k on m))

Machines that have the same left are the same, so s is sorted: two machines of 4 cores and 4 GB are
325 states, four of them some 28,000.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from dqn_tf.envs.placement.jobs import KINDS, Kind, Machine, fits, place

State = tuple[Machine, ...]  # what each machine has left, sorted


def optimum(machines: int, cores: int, memory: int, jobs: int) -> float:
    """Return the mean return of the best policy over episodes of so many jobs."""
    return _value_of(_best)(jobs, ((cores, memory),) * machines)


def rule_return(
    rule: Callable[[Kind, Sequence[Machine]], int],
    machines: int,
    cores: int,
    memory: int,
    jobs: int,
) -> float:
    """Return the mean return of a rule of `rules`, which must not draw."""

    def by_rule(kind: Kind, state: State, after: Callable[[State], float]) -> float:
        machine = rule(kind, state)
        if machine == len(state):
            return after(state)
        return kind.value + after(with_job(kind, state, machine))

    return _value_of(by_rule)(jobs, ((cores, memory),) * machines)


def with_job(kind: Kind, state: State, machine: int) -> State:
    """Return the state after a job is placed on a machine with room for it."""
    others = state[:machine] + state[machine + 1 :]
    return tuple(sorted((*others, place(kind, state[machine]))))


def _best(kind: Kind, state: State, after: Callable[[State], float]) -> float:
    placed = [
        kind.value + after(with_job(kind, state, machine))
        for machine, left in enumerate(state)
        if fits(kind, left)
    ]
    return max([after(state), *placed])


def _value_of(
    choose: Callable[[Kind, State, Callable[[State], float]], float],
) -> Callable[[int, State], float]:
    """Return the mean return by jobs to come and state, where `choose` gives that of one job."""

    @functools.cache
    def value(jobs: int, state: State) -> float:
        if not jobs:
            return 0.0
        after = functools.partial(value, jobs - 1)
        return sum(kind.chance * choose(kind, state, after) for kind in KINDS)

    return value
