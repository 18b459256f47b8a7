"""A command that does each of a family's experiments with each of its seeds.

A run has one thread and is recorded as it ends. Runs that are recorded are not done again, so the
same command goes on after a stop.
"""

from __future__ import annotations

import contextlib
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
from benchmarks.common import one_thread
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

OF_TRAIN = ("env", "env_kwargs", "seed")
Result = dict[str, Any]
Do = Callable[[dict[str, Any]], Result]


class RunFlags(NamedTuple):
    """What is to be run and where it is recorded.

    Attributes:
      seeds: empty for those of each experiment.
      overrides: settings that hold for all experiments.
      kinds: what was chosen with the flags that only this family has, by flag.
    """

    experiments: list[str]
    seeds: list[int]
    overrides: dict[str, Any]
    kinds: dict[str, list[str]]
    render_only: bool
    results_dir: Path
    page: Path


class RunOfJob(NamedTuple):
    """A run: its name in the record, and where in the job's result it stands, "" for all of it."""

    name: str
    config: DQNConfig
    part: str = ""

    def key(self) -> tuple[str, int | None, str]:
        """Return what tells it from all other runs."""
        from benchmarks.scores.variants import config_hash

        return self.name, self.config.seed, config_hash(self.config)


class Job(NamedTuple):
    """What the worker is told at once, and the runs that its result holds."""

    title: str
    order: dict[str, Any]
    runs: list[RunOfJob]


class Family(NamedTuple):
    """Experiments that are run, recorded and shown together.

    Attributes:
      name: of its package in `benchmarks`, and of its folder of results. The package has the
        modules `worker`, which does what an order says; `records` with FILE, Row and `row`; and
        `page` with BEGIN, END, `render`, and `draw` if there is a picture.
      help: what the command does.
      example: flags for the help page.
      by_name: the experiments, each with a `name`, a `title` and its `seeds`.
      jobs: what is to be done, in this order. Raises UserError.
      outcome: a finished row in words.
      page: the page of docs.
      kinds: a flag for each, `--graphs=1,2` say, with what may be chosen.
      of_train: the flags of train.py that the experiments set themselves.
      has_picture: whether the page shows one.
      keeps_process: whether one process does all jobs, and not one process each.
    """

    name: str
    help: str
    example: str
    by_name: Mapping[str, Any]
    jobs: Callable[[RunFlags], Iterator[Job]]
    outcome: Callable[[Any], str]
    page: str
    kinds: Mapping[str, Sequence[str]] = {}
    of_train: Sequence[str] = OF_TRAIN
    has_picture: bool = False
    keeps_process: bool = False

    def module(self, name: str) -> Any:
        """Import a module of the family's package."""
        return importlib.import_module(f"benchmarks.{self.name}.{name}")


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
    for name in family.of_train:
        if name in overrides:
            instead = ", ".join(f"--{each}" for each in ("experiments", *family.kinds))
            raise UserError(f"--{name} is for train.py; see {instead} and --seeds.")
    options = RunFlags(
        command_line.words("experiments", values.experiments, family.by_name),
        common_flags.parse_seeds(values.seeds),
        overrides,
        {
            flag: command_line.words(flag, getattr(values, flag), known)
            for flag, known in family.kinds.items()
        },
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    list(family.jobs(options))
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


def seed_by_seed(
    options: RunFlags, by_name: Mapping[str, Any], job: Callable[[Any, int, dict[str, Any]], Job]
) -> Iterator[Job]:
    """Yield the job of an experiment, a seed and overrides: of all a first seed, then a second."""
    chosen = [by_name[name] for name in options.experiments]
    most = max(len(options.seeds or each.seeds) for each in chosen)
    for place in range(most):
        for experiment in chosen:
            seeds = options.seeds or experiment.seeds
            if place < len(seeds):
                yield job(experiment, seeds[place], options.overrides)


def single_runs(
    by_name: Mapping[str, Any],
    configure: Callable[[Any, int, dict[str, Any]], DQNConfig],
    order: Callable[[Any, DQNConfig], dict[str, Any]],
) -> Callable[[RunFlags], Iterator[Job]]:
    """Return the `jobs` of a family whose every job is one run: what `order` says of it."""

    def job(experiment: Any, seed: int, overrides: dict[str, Any]) -> Job:
        config = configure(experiment, seed, overrides)
        return Job(experiment.title, order(experiment, config), [RunOfJob(experiment.name, config)])

    return lambda options: seed_by_seed(options, by_name, job)


@contextlib.contextmanager
def worker_of(family: Family) -> Iterator[Do]:
    """Give the function that has the family's worker do an order.

    It raises UserError if that fails.
    """
    from benchmarks.common.processes import Child

    module = f"benchmarks.{family.name}.worker"
    if not family.keeps_process:

        def do_alone(order: dict[str, Any]) -> Result:
            with Child(module, variables=one_thread.ENVIRONMENT) as child:
                result = _ask(child, order)
                child.finish()
            return result

        yield do_alone
        return
    with Child(module, variables=one_thread.ENVIRONMENT) as child:
        yield lambda order: _ask(child, order)
        child.finish()


def _ask(child: Any, order: dict[str, Any]) -> Result:
    result: Result = child.ask(order)
    if "error" in result:
        raise UserError(str(result["error"]))
    return result


def _define(family: Family, values: flags.FlagValues) -> None:
    config_flags.define_config_flags(values)
    for name, known in {"experiments": list(family.by_name), **family.kinds}.items():
        text = f"which, separated by commas: {', '.join(known)}"
        flags.DEFINE_string(name, ",".join(known), text, flag_values=values)
    flags.DEFINE_string(
        "seeds",
        "",
        "which seeds, separated by commas; those of the table if not given",
        flag_values=values,
    )
    page = common_flags.DOCS / family.page
    common_flags.define_output_flags(values, family.name, page, "runs.csv")


def _train(family: Family, options: RunFlags) -> None:
    """Do the missing runs, one job at a time, and record each as it ends. Raises UserError."""
    from benchmarks.common.records import append, read

    records = family.module("records")
    file = options.results_dir / records.FILE
    done = {(row.experiment, row.seed, row.config_hash) for row in read(file, records.Row)}
    jobs = list(family.jobs(options))
    missing = [job for job in jobs if not done.issuperset(run.key() for run in job.runs)]
    if not missing:
        return
    start = time.monotonic()
    with worker_of(family) as do:
        for number, job in enumerate(missing, 1):
            result = do(job.order)
            for run in job.runs:
                part = result[run.part] if run.part else result
                row = records.row(run.name, run.config, part)
                append(file, row)
                print(
                    f"{number} of {len(missing)}: {job.title}, seed {run.config.seed}:"
                    f" {family.outcome(row)}; {row.cpu_seconds:.0f} s of CPU,"
                    f" {time.monotonic() - start:.0f} s in all",
                    flush=True,
                )


def _render(family: Family, options: RunFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    from benchmarks.common.report import write_between

    page = family.module("page")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        if family.has_picture:
            page.draw(options.results_dir)
        write_between(options.page, page.BEGIN, page.END, text)
