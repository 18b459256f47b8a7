"""Trains agents whose choices are texts, adds two answers afterwards, and writes the tables.

python -m benchmarks.choices
"""

import dataclasses
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.choices import experiments
from benchmarks.choices.experiments import BY_NAME, Experiment
from benchmarks.common import flags as common_flags
from benchmarks.common.experiments_command import do_order
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HELP = (
    "Does every experiment with each of its seeds, all in one process beside this one, and adds a"
    " row for each finished run to benchmarks/results/choices/runs.csv. Runs that are there already"
    " are not run again, so the same command goes on after a stop. Then writes the tables of"
    " docs/language.md. Start it where examples/ lies. All flags of train.py that set a field of"
    " DQNConfig, but --env, --env_kwargs, --initial_weights and --seed, may be added and hold for"
    " all experiments; such runs are recorded and do not count."
)
WORKER = "benchmarks.choices.worker"
OF_TRAIN = ("env", "env_kwargs", "initial_weights", "seed")


class ChoicesFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all experiments."""

    experiments: list[str]
    seeds: list[int]
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


class Job(NamedTuple):
    """An order of the worker: a run, and the one that begins with its weights if there is one."""

    experiment: Experiment
    configs: dict[str, DQNConfig]  # "config" and "after"


def parse(argv: Sequence[str]) -> ChoicesFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """
    values = command_line.parse(argv, define, _help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    for name in OF_TRAIN:
        if name in overrides:
            raise UserError(f"--{name} is for train.py; see --experiments and --seeds.")
    options = ChoicesFlags(
        command_line.words("experiments", values.experiments, BY_NAME),
        common_flags.parse_seeds(values.seeds) or list(experiments.SEEDS),
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    list(jobs(options))
    return options


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and what is run and recorded."""
    config_flags.define_config_flags(values)
    known = ",".join(BY_NAME)
    text = f"which, separated by commas: {', '.join(BY_NAME)}"
    flags.DEFINE_string("experiments", known, text, flag_values=values)
    flags.DEFINE_string(
        "seeds", "", "which seeds, separated by commas; 1 to 5 if not given", flag_values=values
    )
    page = common_flags.DOCS / "language.md"
    common_flags.define_output_flags(values, "choices", page, "runs.csv")


def _help_page(command: str, values: flags.FlagValues) -> str:
    settings = {field.name for field in dataclasses.fields(DQNConfig)}
    names = [name for name in values if name not in settings]
    usage = [command, f"{command} --experiments=texts --seeds=1,2"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values, *names)})


def main(options: ChoicesFlags) -> None:
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


def train(options: ChoicesFlags) -> None:
    """Do the missing runs, one at a time, and record each as it ends. Raises UserError."""
    from benchmarks.choices import records
    from benchmarks.common.records import append, read
    from benchmarks.scores.variants import config_hash

    file = options.results_dir / records.FILE
    done = {(row.experiment, row.seed, row.config_hash) for row in read(file, records.Row)}
    names = {"config": "", "after": records.AFTER}
    start = time.monotonic()
    for job in jobs(options):
        keys = {
            name: (job.experiment.name + names[name], config.seed, config_hash(config))
            for name, config in job.configs.items()
        }
        if done.issuperset(keys.values()):
            continue
        order = {name: config.to_dict() for name, config in job.configs.items()}
        results = do_order(WORKER, order)
        for name, config in job.configs.items():
            row = records.row(keys[name][0], config, results[name])
            append(file, row)
            print(
                f"{row.experiment}, seed {row.seed}: {row.score:.3f}; {row.cpu_seconds:.0f} s of"
                f" CPU, {time.monotonic() - start:.0f} s in all",
                flush=True,
            )


def render(options: ChoicesFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    from benchmarks.choices import page
    from benchmarks.common.report import write_between

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        write_between(options.page, page.BEGIN, page.END, text)


def jobs(options: ChoicesFlags) -> Iterator[Job]:
    """Yield the orders, seed by seed."""
    for seed in options.seeds:
        for name in options.experiments:
            experiment = BY_NAME[name]
            overrides = options.overrides
            configs = {"config": experiments.configure(experiment, seed, overrides)}
            if experiment.after is not None:
                configs["after"] = experiments.configure_after(experiment, seed, overrides)
            yield Job(experiment, configs)


if __name__ == "__main__":
    command_line.run(main, parse)
