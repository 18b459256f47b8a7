"""What the best policy, one that draws at random, and known rules get: exact where that can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.uses import blackjack, grid_paths
from benchmarks.uses.tables import table_of
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.envs.placement import exact, job_placement, rules
from dqn_tf.envs.placement.jobs import Kind, Machine
from dqn_tf.evaluation.episodes import ActFunction
from dqn_tf.evaluation.library import evaluate
from dqn_tf.experience.exploration import random_action

Rule = Callable[[Kind, Sequence[Machine]], int]
EPISODES = 500  # of what is played


class Yardsticks(NamedTuple):
    """Mean returns of one environment.

    Attributes:
      optimum: None where it is not known.
      others: by name.
    """

    optimum: float | None
    at_random: float
    others: dict[str, float]


def of_table(env_id: str, env_kwargs: dict[str, Any]) -> Yardsticks:
    """Compute the means of an environment that names its transitions."""
    table = table_of(env_id, env_kwargs)
    return Yardsticks(table.optimum(), table.return_at_random(), {})


def of_blackjack() -> Yardsticks:
    """Compute the means of Blackjack-v1."""
    return Yardsticks(
        blackjack.mean_return(lambda hand, stick, hit: max(stick, hit)),
        blackjack.mean_return(lambda hand, stick, hit: (stick + hit) / 2),
        {"never hit": blackjack.mean_return(lambda hand, stick, hit: stick)},
    )


def of_small_placement(sizes: dict[str, int]) -> Yardsticks:
    """Compute the means of JobPlacement with few and small machines."""
    return Yardsticks(
        exact.optimum(**sizes),
        exact.return_at_random(**sizes),
        {name: exact.rule_return(rule, **sizes) for name, rule in rules.RULES.items()},
    )


def of_large_placement(sizes: dict[str, int]) -> Yardsticks:
    """Play JobPlacement where it has too many states to compute the means."""
    config = DQNConfig(env=job_placement.ENV_ID, env_kwargs=sizes)

    def mean(act: ActFunction) -> float:
        return evaluate(act, config, EPISODES).mean

    at_random = mean(_at_random(np.random.default_rng(0), sizes["machines"] + 1))
    by_name = {name: mean(_by_rule(rule, sizes)) for name, rule in rules.RULES.items()}
    return Yardsticks(None, at_random, by_name)


def of_grid(config: DQNConfig) -> Yardsticks:
    """Find the shortest ways through a MiniGrid, and play it at random."""
    actions = registry.spaces(config).actions
    at_random = evaluate(_at_random(np.random.default_rng(0), actions), config, EPISODES).mean
    return Yardsticks(grid_paths.mean_optimum(config), at_random, {})


def _by_rule(rule: Rule, sizes: dict[str, int]) -> ActFunction:
    """Return what reads JobPlacement's observations [N, 2 M + 4] and chooses by a rule."""
    size = np.array([sizes["cores"], sizes["memory"]])

    def choose(observation: np.ndarray) -> int:
        shares = observation[:-2].reshape(-1, 2)
        *machines, (cores, memory) = np.rint(shares * size).astype(int).tolist()
        return rule(Kind("", cores, memory, 0.0, 0.0), [tuple(machine) for machine in machines])

    return lambda observations, masks: np.array([choose(each) for each in observations])


def _at_random(generator: np.random.Generator, actions: int) -> ActFunction:
    """Return what draws one of the actions, or of those that a mask allows."""

    def act(observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        return random_action(generator.random(len(observations)), actions, masks)

    return act
