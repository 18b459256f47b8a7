"""Learns three desks one after the other, with and without what keeps the earlier ones alive.

python -m benchmarks.continual
"""

import functools
from collections.abc import Iterator
from typing import Any

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import (
    OF_TRAIN,
    Family,
    Job,
    RunFlags,
    RunOfJob,
    seed_by_seed,
)
from benchmarks.continual import experiments
from benchmarks.continual.experiments import BY_NAME, EARLIER_RUN, Experiment
from dqn_tf.support import command_line

HELP = (
    "Does every method with each of its seeds, each chain of three tasks in a process of its own,"
    " and adds a row for each finished chain to benchmarks/results/continual/runs.csv: the mean"
    " greedy return on each task before the first and after each task, and what it cost. Chains"
    " that are there already are not run again, so the same command goes on after a stop. Then"
    " writes the table of docs/language.md. Start it where examples/ lies. All flags of train.py"
    " that set a field of DQNConfig, but --env, --env_kwargs, --initial_weights, --initial_replay"
    " and --seed, may be added and hold for all methods; such chains are recorded and do not count."
)


def jobs(options: RunFlags) -> Iterator[Job]:
    """Yield a job for each chain."""
    return seed_by_seed(options, BY_NAME, _job)


def _job(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> Job:
    config = experiments.configure(experiment, seed, overrides)
    order = {"config": config.to_dict()}
    return Job(experiment.title, order, [RunOfJob(experiment.name, config)])


FAMILY = Family(
    name="continual",
    help=HELP,
    example="--experiments=none,reservoir --seeds=1,2",
    by_name=BY_NAME,
    jobs=jobs,
    outcome=lambda row: f"forgetting {row.forgetting:.3f}, {row.final:.3f} at the end",
    page="language.md",
    of_train=(*OF_TRAIN, *EARLIER_RUN),
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
