"""Trains an agent in each application, and puts it beside what needs no reinforcement learning.

python -m benchmarks.applications
"""

import functools

from benchmarks.applications import experiments
from benchmarks.applications.experiments import BY_NAME
from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, each run in a process of its own, and adds a"
    " row for each finished run to benchmarks/results/applications/runs.csv: the mean greedy return"
    " on the wordings of each split, and what it cost. Runs that are there already are not run"
    " again, so the same command goes on after a stop. Then writes the tables of docs/language.md."
    " All flags of train.py that set a field of DQNConfig, but --env, --env_kwargs and --seed, may"
    " be added and hold for all experiments; such runs are recorded and do not count."
)
FAMILY = Family(
    name="applications",
    help=HELP,
    example="--experiments=helpdesk,home --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(
        BY_NAME,
        experiments.configure,
        lambda each, config: {"config": config.to_dict(), "learns": each.learns},
    ),
    outcome=lambda row: f"{row.train:.3f}, on test wordings {row.test:.3f}",
    page="language.md",
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
