"""The environments: what is typed for each, and what its scores are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.uses import exact_scores, yardsticks
from benchmarks.uses.yardsticks import Yardsticks
from dqn_tf.config import presets
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import minigrid_cells
from dqn_tf.envs.placement import job_placement
from dqn_tf.evaluation.episodes import ActFunction

SEEDS = range(1, 11)
EPISODES = 1_000  # of a score that is played
SMALL = {"machines": 3, "cores": 4, "memory": 4, "jobs": 12}  # JobPlacement's own
CELLS = f"{minigrid_cells.__name__}:Cells"
LARGE = {"machines": 8, "cores": 8, "memory": 16, "jobs": 80}


class Experiment(NamedTuple):
    """One row of the table.

    Attributes:
      settings: what is typed besides `--env` and `--env_kwargs`.
      yardsticks: computes what is best, and what other ways to choose are worth.
      exact_score: computes an agent's mean return from how it acts; None where it is played.
    """

    name: str
    env: str
    yardsticks: Callable[[], Yardsticks]
    env_kwargs: dict[str, Any]
    settings: dict[str, Any]
    exact_score: Callable[[ActFunction], float] | None = None
    seeds: range = SEEDS

    @property
    def title(self) -> str:
        """What is trained, in the words of the table."""
        values = [f"{name}={value}" for name, value in self.env_kwargs.items()]
        return ", ".join([self.env, *values])


def _tabular(name: str, env: str, **env_kwargs: Any) -> Experiment:
    return Experiment(
        name,
        env,
        lambda: yardsticks.of_table(env, env_kwargs),
        env_kwargs,
        {},
        lambda act: exact_scores.of_table(act, env, env_kwargs),
    )


def _grid(name: str, env: str, **settings: Any) -> Experiment:
    return Experiment(
        name,
        env,
        lambda: yardsticks.of_grid(configure(BY_NAME[name], 0, {})),
        {},
        {"env_wrappers": CELLS, **settings},
    )


EXPERIMENTS = [
    _tabular("frozen_lake", "FrozenLake-v1"),
    _tabular("frozen_lake_8x8", "FrozenLake-v1", map_name="8x8"),
    _tabular("taxi", "Taxi-v4"),
    _tabular("cliff_walking", "CliffWalking-v1"),
    Experiment(
        "blackjack",
        "Blackjack-v1",
        yardsticks.of_blackjack,
        {},
        {"total_steps": 200_000},
        exact_scores.of_blackjack,
    ),
    Experiment(
        "placement",
        job_placement.ENV_ID,
        lambda: yardsticks.of_small_placement(SMALL),
        {},
        {"total_steps": 50_000},
        lambda act: exact_scores.of_placement(act, SMALL),
    ),
    Experiment(
        "placement_large",
        job_placement.ENV_ID,
        lambda: yardsticks.of_large_placement(LARGE),
        LARGE,
        {},
    ),
    _grid("empty_room", "minigrid:MiniGrid-Empty-Random-6x6-v0"),
    _grid("door_key", "minigrid:MiniGrid-DoorKey-5x5-v0", n_step=5, double=True),
]
BY_NAME: dict[str, Experiment] = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build what train.py makes of the command of one run; `overrides` come last.

    Nothing is evaluated during the run. Raises UserError.
    """
    values = {
        "env_kwargs": experiment.env_kwargs,
        "seed": seed,
        "evaluation_period_env_steps": 0,
    }
    return presets.configure(experiment.env, values | experiment.settings | overrides)
