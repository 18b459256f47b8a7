"""Trains agents that write tokens, and puts them beside what is known exactly.

python -m benchmarks.language
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from benchmarks.language import experiments
from benchmarks.language.experiments import BY_NAME
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, each run in a process of its own, and adds a"
    " row for each finished run to benchmarks/results/language/runs.csv: the mean greedy return"
    " over all starts, and what it cost. Runs that are there already are not run again, so the same"
    " command goes on after a stop. Then writes the tables of docs/language.md. All flags of"
    " train.py that set a field of DQNConfig, but --env, --env_kwargs and --seed, may be added and"
    " hold for all experiments; such runs are recorded and do not count."
)
FAMILY = Family(
    name="language",
    help=HELP,
    example="--experiments=maze_choice --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(BY_NAME, experiments.configure, lambda _, config: config.to_dict()),
    outcome=lambda row: f"{row.score:.3f}, {row.success:.1%} succeed",
    page="language.md",
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
