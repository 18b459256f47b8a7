"""Measures remote workers, and puts them beside one process and RLlib.

python -m benchmarks.distributed --measures=steps
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import OF_TRAIN, Family, RunFlags
from benchmarks.common.processes import has_interpreter
from benchmarks.distributed import experiments
from benchmarks.distributed.experiments import BY_NAME, MEASURES, RLLIB, RLLIB_PYTHON
from benchmarks.distributed.records import Row
from dqn_tf.support import command_line

HELP = (
    "Does every run of the chosen measures, each in a process of its own, and adds a row for each"
    " finished run to benchmarks/results/distributed/runs.csv. The measures are steps, of an"
    " environment of 1, 5 and 20 ms a step with 0 to 32 workers; overhead, on CartPole; highway, a"
    " slow simulator; rllib, RLlib's DQN beside dqn_tf; and lag, ten seeds of CartPole. Runs that"
    " are there already are not run again, so the same command goes on after a stop. Then writes"
    " the tables of docs/distributed.md. RLlib needs an environment of its own: the variable"
    f" {RLLIB_PYTHON} names its interpreter; without it RLlib is left out. Run it on a machine that"
    " does nothing else."
)


def outcome(row: Row) -> str:
    """Return a finished row in words."""
    words = []
    if row.timed_steps is not None:
        words.append(f"{row.steps_per_second:,.0f} steps/s")
    if row.score is not None:
        words.append(f"{row.score:.1f}")
    if row.target_seconds is not None:
        words.append(f"the target after {row.target_seconds:.1f} s")
    return ", ".join(words)


FAMILY = Family(
    name="distributed",
    help=HELP,
    example="--measures=steps,overhead",
    by_name=BY_NAME,
    jobs=experiments.jobs,
    outcome=outcome,
    page="distributed.md",
    kinds={"measures": MEASURES},
    of_train=(*OF_TRAIN, "workers", "lag"),
)
parse = functools.partial(experiments_command.parse, FAMILY)


def main(options: RunFlags) -> None:
    """Do the runs that are not recorded yet, then write the page."""
    if RLLIB in options.kinds["measures"]:
        has_interpreter(RLLIB_PYTHON, "RLlib")
    experiments_command.main(FAMILY, options)


if __name__ == "__main__":
    command_line.run(main, parse)
