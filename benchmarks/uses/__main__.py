"""Trains on environments without a preset, and writes the table of docs/uses.md.

python -m benchmarks.uses
"""

import functools
from typing import Any

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from benchmarks.uses.experiments import BY_NAME, Experiment, configure
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line

HELP = (
    "Types `python train.py --env=...` for each environment with each seed, a process for each run,"
    " and adds a row for each finished run to benchmarks/results/uses/runs.csv. Runs that are there"
    " already are not run again, so the same command goes on after a stop. Then writes the table of"
    " docs/uses.md. All flags of train.py that set a field of DQNConfig, but --env, --env_kwargs"
    " and --seed, may be added and hold for all experiments; such runs are recorded and do not"
    " count."
)


def _order(experiment: Experiment, config: DQNConfig) -> dict[str, Any]:
    return {"config": config.to_dict(), "experiment": experiment.name}


FAMILY = Family(
    name="uses",
    help=HELP,
    example="--experiments=taxi --seeds=1,2",
    by_name=BY_NAME,
    jobs=single_runs(BY_NAME, configure, _order),
    outcome=lambda row: f"{row.score:.3f}",
    page="uses.md",
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
