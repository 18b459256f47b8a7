"""Trains agents that write tokens, and puts them beside what is known exactly.

python -m benchmarks.language
"""

import dataclasses
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.language import experiments
from benchmarks.language.experiments import BY_NAME, Experiment
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HELP = (
    "Does every experiment with each of its seeds, each run in a process of its own, and adds a"
    " row for each finished run to benchmarks/results/language/runs.csv: the mean greedy return"
    " over all starts, and what it cost. Runs that are there already are not run again, so the same"
    " command goes on after a stop. Then writes the tables of docs/language.md. All flags of"
    " train.py that set a field of DQNConfig, but --env, --env_kwargs and --seed, may be added and"
    " hold for all experiments; such runs are recorded and do not count."
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
WORKER = "benchmarks.language.worker"


class LanguageFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all experiments."""

    experiments: list[str]
    seeds: list[int]  # empty for those of each experiment
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


def parse(argv: Sequence[str]) -> LanguageFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """
    values = command_line.parse(argv, define, _help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    for name in ("env", "env_kwargs", "seed"):
        if name in overrides:
            raise UserError(f"--{name} is for train.py; see --experiments and --seeds.")
    options = LanguageFlags(
        command_line.words("experiments", values.experiments, BY_NAME),
        common_flags.parse_seeds(values.seeds),
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )
    for experiment, seed in _jobs(options):
        experiments.configure(experiment, seed, overrides)
    return options


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and what is run and recorded."""
    config_flags.define_config_flags(values)
    flags.DEFINE_string(
        "experiments",
        ",".join(BY_NAME),
        f"which, separated by commas: {', '.join(BY_NAME)}",
        flag_values=values,
    )
    flags.DEFINE_string(
        "seeds",
        "",
        "which seeds, separated by commas; those of the table if not given",
        flag_values=values,
    )
    page = common_flags.DOCS / "language.md"
    common_flags.define_output_flags(values, "language", page, "runs.csv")


def _help_page(command: str, values: flags.FlagValues) -> str:
    settings = {field.name for field in dataclasses.fields(DQNConfig)}
    names = [name for name in values if name not in settings]
    usage = [command, f"{command} --experiments=maze_choice --seeds=1,2"]
    return command_line.help_page(usage, HELP, {"": command_line.entries(values, *names)})


def main(options: LanguageFlags) -> None:
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


def train(options: LanguageFlags) -> None:
    """Do the missing runs, one at a time, and record each as it ends. Raises UserError."""
    from benchmarks.common.records import append, read
    from benchmarks.language import records
    from benchmarks.scores.variants import config_hash

    file = options.results_dir / records.FILE
    done = {(row.experiment, row.seed, row.config_hash) for row in read(file, records.Row)}
    jobs = _jobs(options)
    start = time.monotonic()
    for number, (experiment, seed) in enumerate(jobs, 1):
        config = experiments.configure(experiment, seed, options.overrides)
        if (experiment.name, seed, config_hash(config)) in done:
            continue
        row = records.row(experiment.name, config, _run(config))
        append(file, row)
        print(
            f"{number} of {len(jobs)}: {experiment.title}, seed {seed}: {row.score:.3f},"
            f" {row.success:.1%} succeed; {row.cpu_seconds:.0f} s of CPU,"
            f" {time.monotonic() - start:.0f} s in all",
            flush=True,
        )


def render(options: LanguageFlags) -> None:
    """Write the tables into the page. Raises UserError if a file cannot be written."""
    from benchmarks.language import page

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy's
        text = page.render(options.results_dir)
    print(text)
    with common_flags.writing_files():
        page.write(options.page, text)


def _jobs(options: LanguageFlags) -> list[tuple[Experiment, int]]:
    """List the runs, experiment by experiment."""
    chosen = [BY_NAME[name] for name in options.experiments]
    return [(each, seed) for each in chosen for seed in options.seeds or each.seeds]


def _run(config: DQNConfig) -> dict[str, Any]:
    """Train once in a process of its own. Raises UserError if that fails."""
    from benchmarks.common.processes import Child

    with Child(WORKER, variables=ONE_THREAD) as child:
        result = child.ask(config.to_dict())
        child.finish()
    if "error" in result:
        raise UserError(str(result["error"]))
    return result


if __name__ == "__main__":
    command_line.run(main, parse)
