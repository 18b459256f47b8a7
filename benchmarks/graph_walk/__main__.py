"""Trains agents that write walks, with and without each of their parts.

python -m benchmarks.graph_walk
"""

import functools
from collections.abc import Iterator

from benchmarks.common import experiments_command
from benchmarks.common.experiments_command import Family, Job, RunFlags, RunOfJob
from benchmarks.graph_walk import experiments
from benchmarks.graph_walk.experiments import BY_NAME, GRAPHS, ONLINE_NAME
from dqn_tf.support import command_line

HELP = (
    "Does every experiment on each of its graphs with each of its seeds, all in one process beside"
    " this one, and adds a row for each finished run to benchmarks/results/graph_walk/runs.csv: the"
    " mean greedy return over all starts, what became of the language model, and what it cost. Runs"
    " that are there already are not run again, so the same command goes on after a stop. Then"
    " writes the tables of docs/language.md. All flags of train.py that set a field of DQNConfig,"
    " but --env, --env_kwargs and --seed, may be added and hold for all experiments; such runs are"
    " recorded and do not count."
)
GRAPHS_FLAG = "graphs"


def jobs(options: RunFlags) -> Iterator[Job]:
    """Yield a job for each run, experiment by experiment, a seed of all graphs before the next."""
    for name in options.experiments:
        experiment = BY_NAME[name]
        pairs = [
            (seed, graph)
            for graph in options.kinds[GRAPHS_FLAG]
            if graph in experiment.graphs
            for seed in options.seeds or experiment.seeds_of(graph)
        ]
        for seed, graph in sorted(pairs):
            config = experiments.configure(experiment, graph, seed, options.overrides)
            order = {
                "config": config.to_dict(),
                "walks": experiment.walks,
                "points": experiment.points,
                "samples_model": name == ONLINE_NAME,
            }
            yield Job(f"{experiment.title}, graph {graph}", order, [RunOfJob(name, config)])


FAMILY = Family(
    name="graph_walk",
    help=HELP,
    example="--experiments=online,offline --graphs=1 --seeds=1,2",
    by_name=BY_NAME,
    jobs=jobs,
    outcome=lambda row: f"{row.score:.3f}, {row.success:.1%} arrive",
    page="language.md",
    kinds={GRAPHS_FLAG: GRAPHS},
    has_picture=True,
    keeps_process=True,  # runs that differ in seed or graph share what is compiled
)
parse = functools.partial(experiments_command.parse, FAMILY)
main = functools.partial(experiments_command.main, FAMILY)

if __name__ == "__main__":
    command_line.run(main, parse)
