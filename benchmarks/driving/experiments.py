"""What drives: dqn_tf with blocks of updates and without, and Stable-Baselines3, at one setting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Job, RunFlags, RunOfJob
from benchmarks.common.processes import has_interpreter
from dqn_tf.config import presets, seeding
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.evaluation.episodes import DEFAULT_SEED

ENV = "highway_env:highway-fast-v0"
SB3 = "stable_baselines3"
SB3_PYTHON = "SB3_PYTHON"  # the variable that names the interpreter that has it
SEEDS = range(1, 11)
EPISODES = 100  # of each score, on the same seeds for all runs


class Experiment(NamedTuple):
    """One row of the table.

    Attributes:
      settings: on top of the preset's; Stable-Baselines3 is given the same work.
    """

    name: str
    title: str
    settings: dict[str, Any]
    system: str = "dqn_tf"
    seeds: range = SEEDS
    episodes: int = EPISODES


EXPERIMENTS = [
    Experiment("blocks_of_1", "dqn_tf, `--updates_per_block=1`", {"updates_per_block": 1}),
    Experiment("blocks_of_16", "dqn_tf, blocks of 16 updates", {"updates_per_block": 16}),
    Experiment(SB3, "Stable-Baselines3", {"updates_per_block": 1}, SB3),
]
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}


def configure(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> DQNConfig:
    """Build one run's configuration, `overrides` on top; nothing is evaluated during the run.

    Raises UserError.
    """
    values = {"evaluation_period_env_steps": 0, "seed": seed}
    return presets.configure(ENV, values | experiment.settings | overrides)


def jobs(options: RunFlags) -> Iterator[Job]:
    """Yield the runs, seed by seed; Stable-Baselines3's only where its interpreter is."""
    names = [
        name
        for name in options.experiments
        if BY_NAME[name].system != SB3 or has_interpreter(SB3_PYTHON)
    ]
    if names:
        chosen = options._replace(experiments=names)
        yield from experiments_command.seed_by_seed(chosen, BY_NAME, _job)


def _job(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> Job:
    config = configure(experiment, seed, overrides)
    order = {
        "system": experiment.system,
        "config": config.to_dict(),
        "episode_seeds": seeding.episode_seeds(DEFAULT_SEED, seeding.TEST, EPISODES),
    }
    return Job(experiment.title, order, [RunOfJob(experiment.name, config)])
