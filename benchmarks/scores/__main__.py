"""Trains variants of DQN on an environment with several seeds, and compares them:

python -m benchmarks.scores --env=CartPole-v1.
"""

import os
import signal
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from dqn_tf.config import flags as config_flags
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs import registry
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HERE = Path(__file__).resolve().parent.parent
DEFAULT_VARIANTS = "dqn,recommended"


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
    """Reads the flags and proves every run's configuration. Raises UserError; exits after `--help`."""
    from benchmarks.scores import variants

    names = ", ".join(variants.VARIANTS)
    config_flags.define_config_flags(flags.FLAGS)
    flags.DEFINE_string("variants", DEFAULT_VARIANTS, f"which, separated by commas: {names}")
    flags.DEFINE_integer("seeds", 10, "runs of each variant, with seeds 0, 1, ...", lower_bound=1)
    flags.DEFINE_integer(
        "processes",
        os.cpu_count() or 1,
        "runs at the same time, one TensorFlow thread each",
        lower_bound=1,
    )
    flags.DEFINE_bool(
        "render_only",
        False,
        "run nothing; write tables, pictures and docs/results.md anew from the records",
    )
    flags.DEFINE_string(
        "results_dir", os.path.relpath(HERE / "results"), "where <env>.csv and <env>.png lie"
    )
    flags.DEFINE_string(
        "page", os.path.relpath(HERE.parent / "docs" / "results.md"), "the page to write"
    )
    flags.DEFINE_bool("verbose", False, "tracebacks")
    values = command_line.parse(["python -m benchmarks.scores", *argv[1:]], _help)
    overrides = config_flags.config_overrides(values)
    if "seed" in overrides:
        raise UserError("--seed is for train.py; give --seeds=N for the seeds 0 to N - 1.")
    env = overrides.pop("env", DQNConfig.env)
    wanted = list(dict.fromkeys(word for word in values["variants"].split(",") if word))
    if not wanted:
        raise UserError(f"--variants: name at least one of {names}.")
    for variant in wanted:
        variants.configure(env, variant, 0, overrides)
    return ScoresFlags(
        env,
        wanted,
        values["seeds"],
        values["processes"],
        overrides,
        values["render_only"],
        Path(values["results_dir"]),
        Path(values["page"]),
    )


def _help(argv: Sequence[str]) -> str:
    lines = [
        f"{argv[0]} --env=CartPole-v1 --seeds=10 --variants={DEFAULT_VARIANTS}",
        "",
        *textwrap.wrap(
            "Trains each variant with each seed, several at a time, and adds a row for each"
            " finished run to benchmarks/results/<env>.csv. Runs that are there already are not run"
            " again, so the same command goes on after a stop. Then prints the comparison, draws"
            " the learning curves and writes docs/results.md. All flags of train.py that set a"
            " field of DQNConfig, but --seed, may be added and hold for all variants.",
            100,
        ),
        "",
    ]
    for name in (
        "env",
        "variants",
        "seeds",
        "processes",
        "render_only",
        "results_dir",
        "page",
        "verbose",
    ):
        default = {"env": DQNConfig.env}.get(name, flags.FLAGS[name].default)
        lines += [
            f"  --{name}={default}" if not isinstance(default, bool) else f"  --{name}",
            *textwrap.wrap(
                flags.FLAGS[name].help, 100, initial_indent=" " * 6, subsequent_indent=" " * 6
            ),
        ]
    return "\n".join(lines)


def main(wanted: ScoresFlags) -> None:
    """Runs what is not recorded yet, then renders."""
    # so that running workers are ended too
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        failures = [] if wanted.render_only else train(wanted)
    except KeyboardInterrupt:
        print("Stopped. The same command goes on with the runs that are not recorded yet.")
        sys.exit(130)
    render(wanted)
    if failures:
        raise UserError(" ".join(failures))


def train(wanted: ScoresFlags) -> list[str]:
    """Does the missing runs and records each as it ends; returns a sentence for each that failed."""
    from benchmarks.scores import pool, records, variants

    spec, file = registry.make_env(wanted.env).spec, records.path(wanted.results_dir, wanted.env)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--results_dir={wanted.results_dir} cannot be made a directory: {error.strerror}."
        ) from error
    done = {(row.config_hash, row.seed) for row in records.read(file)}
    jobs: dict[DQNConfig, str] = {}
    # all variants of a seed before the next: a sweep that is stopped can be compared
    for seed in range(wanted.seeds):
        for variant in wanted.variants:
            config = variants.configure(wanted.env, variant, seed, wanted.overrides)
            if (variants.config_hash(config), seed) not in done:
                jobs.setdefault(config, variant)
    print(
        f"{wanted.env}: {len(jobs)} runs to do, {len(wanted.variants) * wanted.seeds - len(jobs)}"
        f" recorded in {file}.",
        flush=True,
    )
    failures, clock = [], time.monotonic()
    for number, (config, result) in enumerate(pool.run(list(jobs), wanted.processes), 1):
        variant = jobs[config]
        if "error" in result:
            failures.append(
                f"{variant} with seed {config.seed}: {result['error'].strip().rstrip('.')}."
            )
            print(f"failed: {failures[-1]}", flush=True)
            continue
        records.append(
            file, records.row(config, variant, result, spec.reward_threshold if spec else None)
        )
        left = (time.monotonic() - clock) / number * (len(jobs) - number)
        print(
            f"{number} of {len(jobs)}: {variant}, seed {config.seed}: {result['score']:.1f} in"
            f" {result['seconds']:.0f} s; about {left / 60:.0f} min left",
            flush=True,
        )
    return failures


def render(wanted: ScoresFlags) -> None:
    """Prints the tables, draws the pictures and writes the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.scores import page, plot, records, summary

    envs = {
        rows[0].env: rows
        for file in records.files(wanted.results_dir)
        if (rows := records.read(file))
    }
    try:
        for env, rows in envs.items():
            if own := summary.summaries(env, rows, {}):
                plot.curves(env, own, records.path(wanted.results_dir, env).with_suffix(".png"))
            if wanted.render_only or env == wanted.env:
                print(f"\n{env}\n{summary.text(summary.summaries(env, rows, wanted.overrides))}")
        wanted.page.write_text(page.render(wanted.results_dir, wanted.page), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from error


if __name__ == "__main__":
    command_line.run(main, parse)
