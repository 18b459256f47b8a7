"""The best mean return of placing jobs, by dynamic programming.

With n jobs to come and machines free as in s, a policy that knows all of this and nothing of the
future gets

    V(n, s) = Σ_k chance_k · max(V(n - 1, s), max over machines m with room of
                                 value_k + V(n - 1, s with k on m))

The best return does not depend on the order of machines, so there s is sorted: two machines of 4
cores and 4 GB can be in 45 states, four of them in 495. A rule or a policy may depend on the order.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

import numpy as np

from dqn_tf.envs.placement.jobs import KINDS, Kind, Machine, fits, place

State = tuple[Machine, ...]  # what each machine has left
Outcomes = list[tuple[float, State]]  # the reward and the state after each action that may be taken


def optimum(machines: int, cores: int, memory: int, jobs: int) -> float:
    """Return the mean return of the best policy over episodes of so many jobs."""
    return _mean_return(max, jobs, ((cores, memory),) * machines)


def return_at_random(machines: int, cores: int, memory: int, jobs: int) -> float:
    """Return the mean return of drawing from the legal actions."""

    def mean(returns: Sequence[float]) -> float:
        return float(np.mean(returns))

    return _mean_return(mean, jobs, ((cores, memory),) * machines)


def rule_return(
    rule: Callable[[Kind, Sequence[Machine]], int],
    machines: int,
    cores: int,
    memory: int,
    jobs: int,
) -> float:
    """Return the mean return of a rule of `rules`, which must not draw."""
    sizes = {"machines": machines, "cores": cores, "memory": memory, "jobs": jobs}
    return policy_return(lambda kind, state, left: rule(kind, state), **sizes)


def policy_return(
    choose: Callable[[Kind, State, int], int],
    machines: int,
    cores: int,
    memory: int,
    jobs: int,
) -> float:
    """Return the mean return of a policy, which must not draw.

    It is given the job, what each machine has left, and how many jobs are still to come, this one
    among them; it returns a machine with room, or their number to turn the job away. The chance of
    each state is followed from the first job to the last.
    """
    total = 0.0
    chances = {((cores, memory),) * machines: 1.0}
    for left in range(jobs, 0, -1):
        next_chances: dict[State, float] = collections.defaultdict(float)
        for state, chance in chances.items():
            for kind in KINDS:
                reward, after = _outcome(kind, state, choose(kind, state, left))
                total += chance * kind.chance * reward
                next_chances[after] += chance * kind.chance
        chances = next_chances
    return total


def _outcomes(kind: Kind, state: State) -> Outcomes:
    """Return the outcomes of turning a job away and of placing it on each machine with room.

    The states are sorted.
    """
    with_room = [machine for machine, left in enumerate(state) if fits(kind, left)]
    each = [_outcome(kind, state, machine) for machine in (*with_room, len(state))]
    return [(reward, tuple(sorted(after))) for reward, after in each]


def _outcome(kind: Kind, state: State, machine: int) -> tuple[float, State]:
    """Return the reward and the state after a job was placed on a machine with room.

    With the number of machines, it is turned away.
    """
    if machine == len(state):
        return 0.0, state
    after = place(kind, state[machine])
    return kind.value, (*state[:machine], after, *state[machine + 1 :])


def _mean_return(value_of: Callable[[Sequence[float]], float], jobs: int, start: State) -> float:
    """Return the mean return from `start` on, by the recursion above.

    `value_of` makes the value of a job that has arrived from those of its outcomes.
    """
    by_kind = {start: [_outcomes(kind, start) for kind in KINDS]}
    found = [start]
    for state in found:  # it grows while it is read
        for after in {after for each in by_kind[state] for _, after in each} - by_kind.keys():
            by_kind[after] = [_outcomes(kind, after) for kind in KINDS]
            found.append(after)
    values = dict.fromkeys(by_kind, 0.0)
    for _ in range(jobs):
        values = {
            state: sum(
                kind.chance * value_of([reward + values[after] for reward, after in each])
                for kind, each in zip(KINDS, of_kinds, strict=True)
            )
            for state, of_kinds in by_kind.items()
        }
    return values[start]
