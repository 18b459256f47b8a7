"""Learns from logged data by several methods and compares them with their baselines.

python -m benchmarks.offline --make_data
"""

import dataclasses
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.common import one_thread
from benchmarks.offline import methods
from benchmarks.offline.data_sets import BEST, SETS, path
from benchmarks.offline.methods import METHODS, Job
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.config.settings.logged import LoggedDataSettings
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

if TYPE_CHECKING:
    from benchmarks.offline.run_one import Runner
    from dqn_tf.experience.logged.shares import SharedEpisodes

DATA = "data"  # the folder of the data sets, which are kept out of git
HELP = (
    "Makes four data sets of each environment (--make_data), learns from each of them by every"
    " method with every seed, and adds a row for each finished run to"
    " benchmarks/results/offline/<env>.csv. Runs that are there already are not run again, so the"
    " same command goes on after a stop. Then writes the tables of docs/offline.md. All flags of"
    " train.py that set a field of DQNConfig, but --env, --data and --seed, may be added and hold"
    " for all methods; such runs are recorded and do not count."
)
OF_DATA = [field.name for field in dataclasses.fields(LoggedDataSettings)]


class OfflineFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all methods."""

    envs: list[str]
    methods: list[str]
    data_sets: list[str]
    seeds: range
    make_data: bool
    rows: int
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


def parse(argv: Sequence[str]) -> OfflineFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """
    values = command_line.parse(argv, define, _help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    for name in ("env", "data", "seed"):
        if name in overrides:
            raise UserError(f"--{name} is for train.py; see --envs, --data_sets and --seeds.")
    options = OfflineFlags(
        command_line.words("envs", values.envs, methods.ENVS),
        command_line.words("methods", values.methods, METHODS),
        command_line.words("data_sets", values.data_sets, SETS),
        range(values.first_seed, values.first_seed + values.seeds),
        values.make_data,
        values.rows,
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    for env in options.envs:
        for job in _jobs(options, env):
            methods.configure(job, options.results_dir / DATA, overrides)
    return options


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and what is run and recorded."""
    config_flags.define_config_flags(values)
    for name, known, text in (
        ("envs", methods.ENVS, "which environments, separated by commas"),
        ("methods", tuple(METHODS), f"which, separated by commas: {', '.join(METHODS)}"),
        ("data_sets", SETS, "which data sets, separated by commas"),
    ):
        flags.DEFINE_string(name, ",".join(known), text, flag_values=values)
    for name, default, text in (
        ("seeds", 10, "runs of each method on each data set"),
        ("rows", 100_000, "steps of each data set, with --make_data"),
    ):
        flags.DEFINE_integer(name, default, text, lower_bound=1, flag_values=values)
    flags.DEFINE_integer("first_seed", 0, "seed of the first run", 0, flag_values=values)
    flags.DEFINE_bool("make_data", False, "make the data sets first", flag_values=values)
    page = common_flags.DOCS / "offline.md"
    common_flags.define_output_flags(values, "offline", page, "<env>.csv, data_sets.csv and data/")


def _help_page(command: str, values: flags.FlagValues) -> str:
    settings = {field.name for field in dataclasses.fields(DQNConfig)}
    names = [name for name in values if name not in settings]
    usage = [f"{command} --make_data", f"{command} --envs=CartPole-v1 --seeds=5"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values, *names)})


def main(options: OfflineFlags) -> None:
    """Make the data if asked to, do the runs that are not recorded yet, then render."""
    common_flags.exit_on_sigterm()
    try:
        if not options.render_only:
            _load_tensorflow()
            common_flags.make_results_dir(options.results_dir)
            for env in options.envs:
                if options.make_data:
                    make_data(options, env)
            for env in options.envs:
                train(options, env)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the runs that are not recorded yet.")
        sys.exit(130)
    render(options)


def make_data(options: OfflineFlags, env: str) -> None:
    """Make the data sets of an environment, and record what they hold."""
    from benchmarks.common.records import append
    from benchmarks.offline import collecting, records
    from dqn_tf.config import presets
    from dqn_tf.envs import registry
    from dqn_tf.experience.logged.sources import load

    spaces = registry.spaces(presets.configure(env, {}))
    directory = options.results_dir / DATA
    # of a run that learns online
    changes = {name: value for name, value in options.overrides.items() if name not in OF_DATA}
    for made in collecting.make(env, directory, options.rows, changes):
        files = [path(directory, env, made.name + end) for end in ("", BEST)]
        whole, best = (load(str(file), spaces).digest for file in files)
        row = records.data_row(env, made, (whole, best))
        append(options.results_dir / records.DATA_SETS, row)
        print(
            f"{env}, {made.name}: {row.rows:,} steps, {row.episodes:,} episodes, mean return"
            f" {row.mean:.1f}; {row.best_mean:.1f} of the best tenth.",
            flush=True,
        )


def train(options: OfflineFlags, env: str, runner: "Runner | None" = None) -> None:
    """Do the missing runs of an environment and record each as it ends."""
    from benchmarks.common.records import append, read
    from benchmarks.offline import records
    from benchmarks.offline.run_one import Runner
    from benchmarks.scores.variants import config_hash

    file = records.path(options.results_dir, env)
    read_data = DataReader()
    done = {
        (row.data_set, row.digest, row.method, row.seed, row.config_hash)
        for row in read(file, records.Row)
    }
    runner = runner or Runner()
    jobs = _jobs(options, env)
    start = time.monotonic()
    for number, job in enumerate(jobs, 1):
        config = methods.configure(job, options.results_dir / DATA, options.overrides)
        logged = read_data(config)
        digest = logged[0].episodes.digest[:12] if logged else ""
        own_hash = config_hash(methods.nameless(config))
        if (job.data_set, digest, job.method, job.seed, own_hash) in done:
            continue
        result = runner.run(job, config, logged)
        row = records.row(job, config, digest, result)
        append(file, row)
        shown = f"{row.score:.1f}" if row.score is not None else f"{row.steps_to_threshold} steps"
        print(
            f"{number} of {len(jobs)}: {env}, {job.method} on {job.data_set}, seed {job.seed}:"
            f" {shown}; {row.cpu_seconds:.1f} s of CPU, {time.monotonic() - start:.0f} s in all",
            flush=True,
        )


def render(options: OfflineFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    from benchmarks.offline import page

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's, where all runs have the same score
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        page.write(options.page, text)


class DataReader:
    """Reads the data of a run, and keeps them for the next ones."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, ...], list[SharedEpisodes]] = {}

    def __call__(self, config: DQNConfig) -> "list[SharedEpisodes]":
        """Return the episodes that a run learns from. Raises UserError."""
        from dqn_tf.envs import registry
        from dqn_tf.experience.logged.shares import load_all

        if config.data not in self._read:
            for name in config.data:
                if not Path(name).exists():
                    raise UserError(f"{name} is not there: add --make_data, once.")
            self._read[config.data] = load_all(config.data, registry.spaces(config))
        return self._read[config.data]


def _jobs(options: OfflineFlags, env: str) -> list[Job]:
    return methods.jobs(env, options.methods, options.data_sets, options.seeds)


def _load_tensorflow() -> None:
    for name, value in one_thread.ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    one_thread.load_tensorflow()


if __name__ == "__main__":
    command_line.run(main, parse)
