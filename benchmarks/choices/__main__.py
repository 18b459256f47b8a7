"""Trains agents whose choices are texts, adds two answers afterwards, and writes the tables.

python -m benchmarks.choices
"""

import functools
from collections.abc import Iterator
from typing import Any

from benchmarks.choices import experiments
from benchmarks.choices.experiments import BY_NAME, Experiment
from benchmarks.choices.records import AFTER
from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import (
    OF_TRAIN,
    Family,
    Job,
    RunFlags,
    RunOfJob,
    seed_by_seed,
)
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, each with a process of its own, and adds a"
    " row for each finished run to benchmarks/results/choices/runs.csv. Runs that are there already"
    " are not run again, so the same command goes on after a stop. Then writes the tables of"
    " docs/language.md. Start it where examples/ lies. All flags of train.py that set a field of"
    " DQNConfig, but --env, --env_kwargs, --initial_weights and --seed, may be added and hold for"
    " all experiments; such runs are recorded and do not count."
)


def jobs(options: RunFlags) -> Iterator[Job]:
    """Yield a job for each run, together with the one that begins with its weights."""
    return seed_by_seed(options, BY_NAME, _job)


def _job(experiment: Experiment, seed: int, overrides: dict[str, Any]) -> Job:
    config = experiments.configure(experiment, seed, overrides)
    runs = [RunOfJob(experiment.name, config, "config")]
    if experiment.after is not None:
        after = experiments.configure_after(experiment, seed, overrides)
        runs.append(RunOfJob(experiment.name + AFTER, after, "after"))
    return Job(experiment.title, {run.part: run.config.to_dict() for run in runs}, runs)


FAMILY = Family(
    name="choices",
    help=HELP,
    example="--experiments=texts --seeds=1,2",
    by_name=BY_NAME,
    jobs=jobs,
    outcome=lambda row: f"{row.score:.3f}",
    page="language.md",
    of_train=(*OF_TRAIN, "initial_weights"),
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
