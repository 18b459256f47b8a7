"""A command that trains each of a family's experiments with each of its seeds.

Each run has a process of its own and one thread, and is recorded as it ends. Runs that are recorded
are not done again, so the same command goes on after a stop.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
OF_THE_FAMILY = ("env", "env_kwargs", "seed")


class Family(NamedTuple):
    """Experiments that are run, recorded and shown together.

    Attributes:
      name: of its package in `benchmarks`, and of its folder of results. The package has the
        modules `worker`, which does what `order` says; `records` with FILE, Row and `row`; and
        `page` with `render` and `write`.
      help: what the command does.
      example: flags for the help page.
      by_name: the experiments, each with a `name`, a `title` and its `seeds`.
      configure: the configuration of an experiment, a seed and overrides. Raises UserError.
      order: what the worker is told.
      outcome: a finished row in words.
      page: the page of docs.
    """

    name: str
    help: str
    example: str
    by_name: Mapping[str, Any]
    configure: Callable[[Any, int, dict[str, Any]], DQNConfig]
    order: Callable[[Any, DQNConfig], dict[str, Any]]
    outcome: Callable[[Any], str]
    page: str

    def module(self, name: str) -> Any:
        """Import a module of the family's package."""
        return importlib.import_module(f"benchmarks.{self.name}.{name}")


class RunFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all experiments."""

    experiments: list[str]
    seeds: list[int]  # empty for those of each experiment
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


def parse(family: Family, argv: Sequence[str]) -> RunFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """

    def define(values: flags.FlagValues) -> None:
        _define(family, values)

    def help_page(command: str, values: flags.FlagValues) -> str:
        settings = {field.name for field in dataclasses.fields(DQNConfig)}
        names = [name for name in values if name not in settings]
        usage = [command, f"{command} {family.example}"]
        return command_line.help_page(
            usage, family.help, {"": command_line.entries(values, *names)}
        )

    values = command_line.parse(argv, define, help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    for name in OF_THE_FAMILY:
        if name in overrides:
            raise UserError(f"--{name} is for train.py; see --experiments and --seeds.")
    options = RunFlags(
        command_line.words("experiments", values.experiments, family.by_name),
        common_flags.parse_seeds(values.seeds),
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    list(_jobs(family, options))
    return options


def main(family: Family, options: RunFlags) -> None:
    """Do the runs that are not recorded yet, then write the page."""
    common_flags.exit_on_sigterm()
    try:
        if not options.render_only:
            common_flags.make_results_dir(options.results_dir)
            _train(family, options)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the runs that are not recorded yet.")
        sys.exit(130)
    _render(family, options)


def do_run(family: Family, order: dict[str, Any]) -> dict[str, Any]:
    """Do one run in a process of its own. Raises UserError if that fails."""
    return do_order(f"benchmarks.{family.name}.worker", order)


def do_order(worker: str, order: dict[str, Any]) -> dict[str, Any]:
    """Do an order in a process of its own. Raises UserError if that fails."""
    from benchmarks.common.processes import Child

    with Child(worker, variables=ONE_THREAD) as child:
        result = child.ask(order)
        child.finish()
    if "error" in result:
        raise UserError(str(result["error"]))
    return result


def _define(family: Family, values: flags.FlagValues) -> None:
    config_flags.define_config_flags(values)
    names = list(family.by_name)
    flags.DEFINE_string(
        "experiments",
        ",".join(names),
        f"which, separated by commas: {', '.join(names)}",
        flag_values=values,
    )
    flags.DEFINE_string(
        "seeds",
        "",
        "which seeds, separated by commas; those of the table if not given",
        flag_values=values,
    )
    page = common_flags.DOCS / family.page
    common_flags.define_output_flags(values, family.name, page, "runs.csv")


def _train(family: Family, options: RunFlags) -> None:
    """Do the missing runs, one at a time, and record each as it ends. Raises UserError."""
    from benchmarks.common.records import append, read
    from benchmarks.scores.variants import config_hash

    records = family.module("records")
    file = options.results_dir / records.FILE
    done = {(row.experiment, row.seed, row.config_hash) for row in read(file, records.Row)}
    jobs = list(_jobs(family, options))
    start = time.monotonic()
    for number, (experiment, config) in enumerate(jobs, 1):
        if (experiment.name, config.seed, config_hash(config)) in done:
            continue
        row = records.row(experiment.name, config, do_run(family, family.order(experiment, config)))
        append(file, row)
        print(
            f"{number} of {len(jobs)}: {experiment.title}, seed {config.seed}:"
            f" {family.outcome(row)}; {row.cpu_seconds:.0f} s of CPU,"
            f" {time.monotonic() - start:.0f} s in all",
            flush=True,
        )


def _render(family: Family, options: RunFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    page = family.module("page")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        page.write(options.page, text)


def _jobs(family: Family, options: RunFlags) -> Iterator[tuple[Any, DQNConfig]]:
    """Yield the runs: of each experiment its first seed, then of each the second, and so on."""
    chosen = [family.by_name[name] for name in options.experiments]
    most = max(len(options.seeds or each.seeds) for each in chosen)
    for place in range(most):
        for experiment in chosen:
            seeds = options.seeds or experiment.seeds
            if place < len(seeds):
                yield experiment, family.configure(experiment, seeds[place], options.overrides)
