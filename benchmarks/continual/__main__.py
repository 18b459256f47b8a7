"""Learns three desks one after the other, with and without what keeps the earlier ones alive.

python -m benchmarks.continual
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import OF_TRAIN, Family, single_runs
from benchmarks.continual import experiments
from benchmarks.continual.experiments import BY_NAME, EARLIER_RUN
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
FAMILY = Family(
    name="continual",
    help=HELP,
    example="--experiments=none,reservoir --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(
        BY_NAME, experiments.configure, lambda _, config: {"config": config.to_dict()}
    ),
    outcome=lambda row: f"forgetting {row.forgetting:.3f}, {row.final:.3f} at the end",
    page="language.md",
    of_train=(*OF_TRAIN, *EARLIER_RUN),
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
