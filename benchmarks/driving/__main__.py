"""Learns to drive with dqn_tf and with Stable-Baselines3, and writes the table of docs/uses.md.

python -m benchmarks.driving
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import OF_TRAIN, Family, RunFlags
from benchmarks.common.processes import has_interpreter
from benchmarks.driving import experiments
from benchmarks.driving.experiments import BY_NAME, SB3, SB3_PYTHON
from dqn_tf.support import command_line

HELP = (
    "Trains on highway-env's highway-fast-v0 with each seed, a process for each run, and adds a row"
    " for each finished run to benchmarks/results/driving/runs.csv. Runs that are there already are"
    " not run again, so the same command goes on after a stop. Then writes the table of"
    " docs/uses.md. A run takes some seven minutes. Stable-Baselines3 and highway-env need an"
    f" environment of their own: the variable {SB3_PYTHON} names its interpreter; without it they"
    " are left out."
)
FAMILY = Family(
    name="driving",
    help=HELP,
    example="--experiments=blocks_of_1 --seeds=1,2",
    by_name=BY_NAME,
    jobs=experiments.jobs,
    outcome=lambda row: f"{row.score:.2f}, {row.whole:.0%} whole drives",
    page="uses.md",
    of_train=(*OF_TRAIN, "updates_per_block"),
)
parse = functools.partial(experiments_command.parse, FAMILY)


def main(options: RunFlags) -> None:
    """Do the runs that are not recorded yet, then write the page."""
    if SB3 in options.experiments:
        has_interpreter(SB3_PYTHON, "Stable-Baselines3")
    experiments_command.main(FAMILY, options)


if __name__ == "__main__":
    command_line.run(main, parse)
