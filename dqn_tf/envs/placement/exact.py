"""The best mean return of placing jobs, by dynamic programming.

With n jobs to come and machines free as in s, a policy that knows all of this and nothing of the
future gets

    V(n, s) = Σ_k chance_k · max(V(n - 1, s), max over machines m with room of
                                 value_k + V(n - 1, s with k on m))

The best return does not depend on the order of machines, so there s is sorted: two machines of 4
cores and 4 GB can be in 45 states, four of them in 495. A rule may depend on the order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dqn_tf.envs.placement.jobs import KINDS, Kind, Machine, fits, place

State = tuple[Machine, ...]  # what each machine has left
Outcomes = list[tuple[float, State]]  # the reward and the state after each action that may be taken


def optimum(machines: int, cores: int, memory: int, jobs: int) -> float:
    """Return the mean return of the best policy over episodes of so many jobs."""
    return _mean_return(_sorted_outcomes, max, jobs, ((cores, memory),) * machines)


def return_at_random(machines: int, cores: int, memory: int, jobs: int) -> float:
    """Return the mean return of drawing from the legal actions."""

    def mean(returns: Sequence[float]) -> float:
        return float(np.mean(returns))

    return _mean_return(_sorted_outcomes, mean, jobs, ((cores, memory),) * machines)


def rule_return(
    rule: Callable[[Kind, Sequence[Machine]], int],
    machines: int,
    cores: int,
    memory: int,
    jobs: int,
) -> float:
    """Return the mean return of a rule of `rules`, which must not draw."""

    def outcomes(kind: Kind, state: State) -> Outcomes:
        machine = rule(kind, state)
        return [(0.0, state) if machine == len(state) else placed_on(kind, state, machine)]

    return _mean_return(outcomes, max, jobs, ((cores, memory),) * machines)


def _sorted_outcomes(kind: Kind, state: State) -> Outcomes:
    """Return the outcomes of turning a job away and of placing it on each machine with room."""
    with_room = [machine for machine, left in enumerate(state) if fits(kind, left)]
    placed = [placed_on(kind, state, machine) for machine in with_room]
    return [(0.0, state), *((reward, tuple(sorted(after))) for reward, after in placed)]


def placed_on(kind: Kind, state: State, machine: int) -> tuple[float, State]:
    """Return the reward of a job that is placed on a machine with room, and the state after it."""
    after = place(kind, state[machine])
    return kind.value, (*state[:machine], after, *state[machine + 1 :])


def _mean_return(
    outcomes: Callable[[Kind, State], Outcomes],
    value_of: Callable[[Sequence[float]], float],
    jobs: int,
    start: State,
) -> float:
    """Return the mean return from `start` on, by the recursion above.

    `value_of` makes the value of a job that has arrived from those of its `outcomes`.
    """
    by_kind = {start: [outcomes(kind, start) for kind in KINDS]}
    found = [start]
    for state in found:  # it grows while it is read
        for after in {after for each in by_kind[state] for _, after in each} - by_kind.keys():
            by_kind[after] = [outcomes(kind, after) for kind in KINDS]
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
