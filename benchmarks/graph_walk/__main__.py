"""Trains agents that write walks, with and without each of their parts.

python -m benchmarks.graph_walk
"""

import dataclasses
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.common.experiments_command import ONE_THREAD
from benchmarks.common.processes import Child
from benchmarks.graph_walk import experiments
from benchmarks.graph_walk.experiments import BY_NAME, GRAPHS, ONLINE_NAME, Experiment
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HELP = (
    "Does every experiment on each of its graphs with each of its seeds, all in one process beside"
    " this one, and adds a row for each finished run to benchmarks/results/graph_walk/runs.csv: the"
    " mean greedy return over all starts, what became of the language model, and what it cost. Runs"
    " that are there already are not run again, so the same command goes on after a stop. Then"
    " writes the tables of docs/language.md. All flags of train.py that set a field of DQNConfig,"
    " but --env, --env_kwargs and --seed, may be added and hold for all experiments; such runs are"
    " recorded and do not count."
)
WORKER = "benchmarks.graph_walk.worker"


class WalkFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all experiments."""

    experiments: list[str]
    graphs: list[str]
    seeds: list[int]  # empty for those of each experiment
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


class Job(NamedTuple):
    """One run."""

    experiment: Experiment
    graph: str
    seed: int
    config: DQNConfig

    def order(self) -> dict[str, Any]:
        """Return what the worker is told."""
        return {
            "config": self.config.to_dict(),
            "walks": self.experiment.walks,
            "points": self.experiment.points,
            "samples_model": self.experiment.name == ONLINE_NAME,
        }


def parse(argv: Sequence[str]) -> WalkFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """
    values = command_line.parse(argv, define, _help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    for name in ("env", "env_kwargs", "seed"):
        if name in overrides:
            raise UserError(f"--{name} is for train.py; see --experiments, --graphs and --seeds.")
    options = WalkFlags(
        command_line.words("experiments", values.experiments, BY_NAME),
        command_line.words("graphs", values.graphs, GRAPHS),
        common_flags.parse_seeds(values.seeds),
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    list(_jobs(options))
    return options


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and what is run and recorded."""
    config_flags.define_config_flags(values)
    for name, known in (("experiments", list(BY_NAME)), ("graphs", list(GRAPHS))):
        flags.DEFINE_string(
            name,
            ",".join(known),
            f"which, separated by commas: {', '.join(known)}",
            flag_values=values,
        )
    flags.DEFINE_string(
        "seeds",
        "",
        "which seeds, separated by commas; those of the tables if not given",
        flag_values=values,
    )
    page = common_flags.DOCS / "language.md"
    common_flags.define_output_flags(values, "graph_walk", page, "runs.csv")


def _help_page(command: str, values: flags.FlagValues) -> str:
    settings = {field.name for field in dataclasses.fields(DQNConfig)}
    names = [name for name in values if name not in settings]
    usage = [command, f"{command} --experiments=online,offline --graphs=1 --seeds=1,2"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values, *names)})


def main(options: WalkFlags) -> None:
    """Do the runs that are not recorded yet, then render."""
    common_flags.exit_on_sigterm()
    try:
        if not options.render_only:
            common_flags.make_results_dir(options.results_dir)
            train(options)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the runs that are not recorded yet.")
        sys.exit(130)
    render(options)


def train(options: WalkFlags) -> None:
    """Do the missing runs, one at a time, and record each as it ends. Raises UserError."""
    from benchmarks.common.records import append, read
    from benchmarks.graph_walk import records
    from benchmarks.scores.variants import config_hash

    file = options.results_dir / records.FILE
    rows = read(file, records.Row)
    done = {(row.experiment, row.graph, row.seed, row.config_hash) for row in rows}
    jobs = [
        job
        for job in _jobs(options)
        if (job.experiment.name, job.graph, job.seed, config_hash(job.config)) not in done
    ]
    if not jobs:
        return
    start = time.monotonic()
    with Child(WORKER, variables=ONE_THREAD) as child:
        for number, job in enumerate(jobs, 1):
            result = child.ask(job.order())
            if "error" in result:
                raise UserError(str(result["error"]))
            row = records.row(job.experiment.name, job.graph, job.config, result)
            append(file, row)
            print(
                f"{number} of {len(jobs)}: {job.experiment.title}, graph {job.graph}, seed"
                f" {job.seed}: {row.score:.3f}, {row.success:.1%} arrive; {row.cpu_seconds:.0f} s"
                f" of CPU, {time.monotonic() - start:.0f} s in all",
                flush=True,
            )
        child.finish()


def render(options: WalkFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    from benchmarks.common import report
    from benchmarks.graph_walk import page

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        page.draw(options.results_dir)
        report.write_between(options.page, page.BEGIN, page.END, text)


def _jobs(options: WalkFlags) -> Iterator[Job]:
    """Yield the runs, experiment by experiment, a seed of all its graphs before the next seed."""
    for name in options.experiments:
        experiment = BY_NAME[name]
        graphs = [graph for graph in options.graphs if graph in experiment.graphs]
        pairs = [
            (seed, graph)
            for graph in graphs
            for seed in options.seeds or experiment.seeds_of(graph)
        ]
        for seed, graph in sorted(pairs):
            config = experiments.configure(experiment, graph, seed, options.overrides)
            yield Job(experiment, graph, seed, config)


if __name__ == "__main__":
    command_line.run(main, parse)
