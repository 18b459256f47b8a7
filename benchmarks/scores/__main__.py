"""Trains variants of DQN with several seeds and compares their scores.

python -m benchmarks.scores --env=CartPole-v1
"""

import dataclasses
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.scores import variants
from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

DEFAULT_VARIANTS = "dqn,recommended"
HELP = (
    "Trains each variant with each seed, several at a time, and adds a row for each finished run to"
    " benchmarks/results/scores/<env>.csv. Runs that are there already are not run again, so the"
    " same command goes on after a stop. Then prints the comparison, draws the learning curves and"
    " writes docs/results.md. All flags of train.py that set a field of DQNConfig, but --seed, may"
    " be added and hold for all variants."
)


class ScoresFlags(NamedTuple):
    """What is to be run and where it is recorded; `overrides` hold for all variants."""

    env: str
    variants: list[str]
    seeds: int
    processes: int
    overrides: dict[str, Any]
    render_only: bool
    results_dir: Path
    page: Path


def parse(argv: Sequence[str]) -> ScoresFlags:
    """Read the flags and check every run's configuration.

    Raises UserError; exits after `--help`.
    """
    values = command_line.parse(argv, define, _help_page)
    overrides = config_flags.config_overrides(values.flag_values_dict())
    if "seed" in overrides:
        raise UserError("--seed is for train.py; give --seeds=N for the seeds 0 to N - 1.")
    env = overrides.pop("env", DQNConfig.env)
    chosen = command_line.words("variants", values.variants, variants.VARIANTS)
    for variant in chosen:
        variants.configure(env, variant, 0, overrides)
    return ScoresFlags(
        env,
        chosen,
        values.seeds,
        values.processes,
        overrides,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )


def define(values: flags.FlagValues) -> None:
    """Define all flags: the settings of train.py, and what is run and recorded."""
    config_flags.define_config_flags(values)
    flags.DEFINE_string(
        "variants",
        DEFAULT_VARIANTS,
        f"which, separated by commas: {', '.join(variants.VARIANTS)}",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "seeds",
        10,
        "runs of each variant, with seeds 0, 1, ...",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "processes",
        os.cpu_count() or 1,
        "runs at the same time, one TensorFlow thread each",
        lower_bound=1,
        flag_values=values,
    )
    page = common_flags.DOCS / "results.md"
    common_flags.define_output_flags(values, "scores", page, "<env>.csv and <env>.png")


def _help_page(command: str, values: flags.FlagValues) -> str:
    usage = f"{command} --env=CartPole-v1 --seeds=10 --variants={DEFAULT_VARIANTS}"
    settings = {field.name for field in dataclasses.fields(DQNConfig)}
    names = [name for name in values if name not in settings]
    env = command_line.Entry("env", values["env"].help, DQNConfig.env)
    sections = {"": [env, *command_line.entries(values, *names)]}
    return command_line.help_page([usage], HELP, sections)


def main(options: ScoresFlags) -> None:
    """Do the runs that are not recorded yet, then renders."""
    common_flags.exit_on_sigterm()
    try:
        failures = [] if options.render_only else train(options)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the runs that are not recorded yet.")
        sys.exit(130)
    render(options)
    if failures:
        raise UserError(" ".join(failures))


def train(options: ScoresFlags) -> list[str]:
    """Do the missing runs and record each as it ends; return a sentence for each failure."""
    from benchmarks.common.records import append
    from benchmarks.scores import pool, records

    any_config = variants.configure(options.env, options.variants[0], 0, options.overrides)
    maker = registry.maker(any_config)
    threshold = maker.reward_threshold
    maker.close()
    common_flags.make_results_dir(options.results_dir)
    file = records.path(options.results_dir, options.env)
    jobs = missing_runs(options, file)
    recorded = len(options.variants) * options.seeds - len(jobs)
    print(f"{options.env}: {len(jobs)} runs to do, {recorded} recorded in {file}.", flush=True)
    failures = []
    start = time.monotonic()
    for number, (config, result) in enumerate(pool.run(list(jobs), options.processes), 1):
        variant = jobs[config]
        if "error" in result:
            sentence = result["error"].strip().rstrip(".")
            failures.append(f"{variant} with seed {config.seed}: {sentence}.")
            print(f"failed: {failures[-1]}", flush=True)
            continue
        append(file, records.row(config, variant, result, threshold))
        left = (time.monotonic() - start) / number * (len(jobs) - number)
        print(
            f"{number} of {len(jobs)}: {variant}, seed {config.seed}: {result['score']:.1f} in"
            f" {result['seconds']:.0f} s; about {left / 60:.0f} min left",
            flush=True,
        )
    return failures


def missing_runs(options: ScoresFlags, file: Path) -> dict[DQNConfig, str]:
    """Return the runs that `file` does not hold, each with its variant, seed by seed."""
    from benchmarks.common.records import read
    from benchmarks.scores import records

    done = {(row.config_hash, row.seed) for row in read(file, records.Row)}
    jobs: dict[DQNConfig, str] = {}
    # All variants of a seed come before the next seed: a sweep that is stopped can be compared.
    for seed in range(options.seeds):
        for variant in options.variants:
            config = variants.configure(options.env, variant, seed, options.overrides)
            if (variants.config_hash(config), seed) not in done:
                jobs.setdefault(config, variant)
    return jobs


def render(options: ScoresFlags) -> None:
    """Print the tables, draw the pictures and write the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.scores import page, plot, records, summary

    with common_flags.writing_files():
        for env, rows in records.by_env(options.results_dir).items():
            summaries = summary.summaries(env, rows, {})
            if summaries:
                plot.curves(env, summaries, records.picture(options.results_dir, env))
            if options.render_only or env == options.env:
                table = summary.text(summary.summaries(env, rows, options.overrides))
                print(f"\n{env}\n{table}")
        text = page.render(options.results_dir, options.page)
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    command_line.run(main, parse)
