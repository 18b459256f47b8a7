"""Times dqn_tf and other DQNs side by side: python -m benchmarks.speed --setting=anchor."""

import datetime
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.speed import systems
from benchmarks.speed.settings import SETTINGS, SWEEPS
from benchmarks.speed.systems import System
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

KINDS = ("scaling", "memory", "solve")
RECORDED_FLAGS = ("systems", "sweeps", "rounds", "steps", "seeds")  # part of a row's command
HELP = (
    "Times dqn_tf and other DQNs at the same work, in rounds that take turns, each run in a process"
    " of its own. Adds a row per run to benchmarks/results/speed/*.csv, prints a table and writes"
    " docs/speed.md. A peer that is not installed is skipped. Run it on a machine that does nothing"
    " else."
)


class SpeedFlags(NamedTuple):
    """What is to be timed and where it is recorded."""

    kind: str  # one of KINDS, or the name of a setting
    systems: list[System]
    sweeps: list[str]
    rounds: int
    steps: int | None
    seeds: int
    pythons: dict[str, str]
    render_only: bool
    results_dir: Path
    page: Path
    command: str


def parse(argv: Sequence[str]) -> SpeedFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    kinds = [kind for kind in KINDS if values[kind].value]
    if len(kinds) > 1:
        raise UserError(
            f"--{kinds[0]} and --{kinds[1]} are measurements of their own: give one at a time."
        )
    kind = kinds[0] if kinds else values.setting
    work = f"--{kind}" if kinds else f"--setting={kind}"
    command = ["python -m benchmarks.speed", work, *common_flags.typed(values, RECORDED_FLAGS)]
    return SpeedFlags(
        kind=kind,
        systems=_chosen_systems(kind, values.systems),
        sweeps=command_line.words("sweeps", values.sweeps, SWEEPS),
        rounds=values.rounds,
        steps=values.steps,
        seeds=values.seeds,
        pythons=_pythons(values.python),
        render_only=values.render_only,
        results_dir=Path(values.results_dir),
        page=Path(values.page),
        command=" ".join(command),
    )


def define(values: flags.FlagValues) -> None:
    """Define all flags: the work, the runs, and where they are recorded."""
    _define_work_flags(values)
    _define_run_flags(values)
    page = common_flags.DOCS / "speed.md"
    common_flags.define_output_flags(values, "speed", page, "the CSV files and their pictures")


def _define_work_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "setting",
        "anchor",
        list(SETTINGS),
        "the work: anchor, in a steady state; zoo, a whole training; atari, Pong with the Nature"
        " CNN, and atari8, with 8 environments",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "scaling",
        False,
        "cost of a step as network, batch, environments, replay and run grow, each alone",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "memory",
        False,
        "peak memory, and what a transition takes in the replay",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "solve",
        False,
        "whole runs of train.py on CartPole-v1, over seeds, on both engines",
        flag_values=values,
    )
    flags.DEFINE_string(
        "sweeps",
        ",".join(SWEEPS),
        "with --scaling: what grows",
        flag_values=values,
    )


def _define_run_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "systems",
        None,
        f"which, separated by commas: {', '.join(systems.BY_KEY)}; if not given, those that are"
        " installed",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rounds",
        3,
        "each system is run once in each",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "steps",
        None,
        "environment steps that are timed; the setting's own if not given",
        lower_bound=10,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "seeds",
        5,
        "with --solve: runs, with seeds 0, 1, ...",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "python",
        [],
        "SYSTEM=PATH: the interpreter of a system that is installed elsewhere; may be given several"
        " times",
        flag_values=values,
    )


def _chosen_systems(kind: str, text: str | None) -> list[System]:
    if text is None:
        return [system for system in systems.SYSTEMS if kind in system.timed_at]
    keys = command_line.words("systems", text, systems.BY_KEY)
    if kind == "solve" and any(key not in systems.ENGINES for key in keys):
        raise UserError(
            f"--solve runs train.py: --systems can name {' and '.join(systems.ENGINES)} there, not"
            f" {text}."
        )
    return [systems.BY_KEY[key] for key in keys]


def _pythons(words: Sequence[str]) -> dict[str, str]:
    pythons = {}
    for word in words:
        key, _, path = word.partition("=")
        if key not in systems.BY_KEY or not path:
            raise UserError(
                f"--python={word}: must be SYSTEM=PATH, with SYSTEM one of"
                f" {', '.join(systems.BY_KEY)}."
            )
        pythons[key] = path
    return pythons


def _help_page(command: str, values: flags.FlagValues) -> str:
    sections = {"": command_line.entries(values)}
    return command_line.help_page([f"{command} --setting=anchor"], HELP, sections)


def main(options: SpeedFlags) -> None:
    """Measure, record, render. Raises UserError after all else is done if a run failed."""
    common_flags.exit_on_sigterm()
    failures: list[str] = []
    if not options.render_only:
        date = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        common_flags.make_results_dir(options.results_dir)
        measurement = solve if options.kind == "solve" else measure
        try:
            failures = measurement(options, date)
        except KeyboardInterrupt:
            print("Stopped. What was measured so far is recorded.")
            sys.exit(130)
    render(options)
    if failures:
        raise UserError(" ".join(failures))


def measure(options: SpeedFlags, date: str) -> list[str]:
    """Run all rounds and record each row as it comes; return a sentence for each failed run."""
    from benchmarks.common.records import append
    from benchmarks.speed import jobs, records, rounds

    chosen = jobs.installed(options.systems, options.pythons, sys.executable)
    todo = jobs.one_round(options.kind, options.sweeps, options.steps, chosen)
    name = options.kind if options.kind in KINDS else "settings"
    file = records.path(options.results_dir, name)
    records.read(options.results_dir, name)  # what could not be read later is refused now
    failures = []
    answers = rounds.run(todo, options.rounds, options.pythons)
    for done, (job, number, answer) in enumerate(answers, 1):
        point = job.name if job.value is None else f"{job.name} {job.value:,}"
        title = f"{job.system.name}, {point}, round {number}"
        if "error" in answer:
            failures.append(f"{title}: {answer['error'].strip().rstrip('.')}.")
            print(f"failed: {failures[-1]}", flush=True)
            continue
        row = records.row(job, number, answer, date, options.command)
        append(file, row)
        print(
            f"{done} of {len(todo) * options.rounds}: {title}: {row.env_steps_per_second:,.0f} env"
            f" steps/s, {row.steps:,} in {row.seconds:.1f} s, {row.wall_seconds:.1f} s in all;"
            f" {row.threads}",
            flush=True,
        )
    return failures


def solve(options: SpeedFlags, date: str) -> list[str]:
    """Run train.py with each seed on each engine; return a sentence for each failed run."""
    from benchmarks.common.records import append
    from benchmarks.speed import records, time_to_solve

    file = records.path(options.results_dir, "solve")
    records.read(options.results_dir, "solve")  # what could not be read later is refused now
    failures = []
    for seed, system in itertools.product(range(options.seeds), options.systems):
        try:
            row = time_to_solve.run(system.key, seed, date, options.command)
        except UserError as error:
            failures.append(str(error))
            print(f"failed: {error}", flush=True)
            continue
        append(file, row)
        print(
            f"{system.key}, seed {seed}: {row.score:.1f} in {row.wall_seconds:.1f} s,"
            f" {'solved' if row.solved else 'not solved'}",
            flush=True,
        )
    return failures


def render(options: SpeedFlags) -> None:
    """Print the tables, draw the pictures and write the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.common import tables
    from benchmarks.speed import page, plot, records

    scaling = records.read(options.results_dir, "scaling")
    sweeps = {sweep: records.newest(scaling, sweep) for sweep in SWEEPS}
    sweeps = {sweep: rows for sweep, rows in sweeps.items() if rows}
    for name, (header, lines) in _tables(options.results_dir, sweeps).items():
        if lines and (options.render_only or name == options.kind):
            print(f"\n{name}\n{tables.aligned([header, *lines])}")
    with common_flags.writing_files():
        for sweep, rows in sweeps.items():
            plot.growth(sweep, rows, page.picture(options.results_dir, sweep))
        text = page.render(options.results_dir, options.page)
        options.page.write_text(text, encoding="utf-8")


def _tables(results: Path, sweeps: dict[str, list[Any]]) -> dict[str, tuple[Any, list[Any]]]:
    """Return header and lines of every table by kind of measurement; no lines if not measured."""
    from benchmarks.common.records import newest
    from benchmarks.speed import records, summary

    settings = records.read(results, "settings")
    memory = newest(records.read(results, "memory"))
    solved = newest(records.read(results, "solve"))
    table_by_kind: dict[str, tuple[Any, list[Any]]] = {}
    for name in SETTINGS:
        table_by_kind[name] = (summary.HEADER, summary.speed_lines(records.newest(settings, name)))
    growth_lines = [
        line for sweep, rows in sweeps.items() for line in summary.growth_lines(sweep, rows)
    ]
    table_by_kind["scaling"] = (summary.GROWTH_HEADER, growth_lines)
    table_by_kind["memory"] = (summary.MEMORY_HEADER, summary.memory_lines(memory))
    table_by_kind["solve"] = (summary.SOLVE_HEADER, summary.solve_lines(solved))
    return table_by_kind


if __name__ == "__main__":
    command_line.run(main, parse)
