"""Times dqn_tf and other DQNs side by side: python -m benchmarks.speed --setting=anchor."""

import dataclasses
import datetime
import itertools
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from benchmarks.speed import settings, systems
from benchmarks.speed.settings import SETTINGS, SWEEPS
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HERE = Path(__file__).resolve().parent.parent
KINDS = ("scaling", "memory", "solve")
MEANT = (
    "setting",
    *KINDS,
    "systems",
    "sweeps",
    "rounds",
    "steps",
    "seeds",
    "python",
    "render_only",
    "results_dir",
    "page",
    "verbose",
)


class SpeedFlags(NamedTuple):
    """What is to be timed and where it is recorded."""

    kind: str  # one of KINDS, or the name of a setting
    systems: list[systems.System]
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
    """Reads the flags. Raises UserError; exits after `--help`."""
    keys = ", ".join(systems.BY_KEY)
    flags.DEFINE_enum(
        "setting",
        "anchor",
        list(SETTINGS),
        "the work: anchor, in a steady state; zoo, a whole training; atari, Pong with the Nature"
        " CNN, and atari8, with 8 environments",
    )
    flags.DEFINE_bool(
        "scaling",
        False,
        "cost of a step as network, batch, environments, replay and run grow, each alone",
    )
    flags.DEFINE_bool("memory", False, "peak memory, and what a transition takes in the replay")
    flags.DEFINE_bool(
        "solve", False, "whole runs of train.py on CartPole-v1, over seeds, on both engines"
    )
    flags.DEFINE_string(
        "systems",
        None,
        f"which, separated by commas: {keys}; if not given, those that are installed",
    )
    flags.DEFINE_string("sweeps", ",".join(SWEEPS), "with --scaling: what grows")
    flags.DEFINE_integer("rounds", 3, "each system is run once in each", lower_bound=1)
    flags.DEFINE_integer(
        "steps",
        None,
        "environment steps that are timed; the setting's own if not given",
        lower_bound=10,
    )
    flags.DEFINE_integer("seeds", 5, "with --solve: runs, with seeds 0, 1, ...", lower_bound=1)
    flags.DEFINE_multi_string(
        "python",
        [],
        "SYSTEM=PATH: the interpreter of a system that is installed elsewhere; may be given several"
        " times",
    )
    flags.DEFINE_bool(
        "render_only",
        False,
        "run nothing; write tables, pictures and docs/speed.md anew from the records",
    )
    flags.DEFINE_string(
        "results_dir", os.path.relpath(HERE / "results"), "where speed*.csv and its pictures lie"
    )
    flags.DEFINE_string(
        "page", os.path.relpath(HERE.parent / "docs" / "speed.md"), "the page to write"
    )
    flags.DEFINE_bool("verbose", False, "tracebacks")
    values = command_line.parse(["python -m benchmarks.speed", *argv[1:]], _help)
    kinds = [kind for kind in KINDS if values[kind]]
    if len(kinds) > 1:
        raise UserError(
            f"--{kinds[0]} and --{kinds[1]} are measurements of their own: give one at a time."
        )
    kind = kinds[0] if kinds else values["setting"]
    sweeps = _words("sweeps", values["sweeps"], SWEEPS)
    pythons = {}
    for text in values["python"]:
        key, _, path = text.partition("=")
        if key not in systems.BY_KEY or not path:
            raise UserError(f"--python={text}: must be SYSTEM=PATH, with SYSTEM one of {keys}.")
        pythons[key] = path
    if values["systems"] is None:
        chosen = [system for system in systems.SYSTEMS if kind in system.timed_at]
    else:
        chosen = [
            systems.BY_KEY[key] for key in _words("systems", values["systems"], systems.BY_KEY)
        ]
    if kind == "solve" and any(system.key not in systems.ENGINES for system in chosen):
        raise UserError(
            f"--solve runs train.py: --systems can name {' and '.join(systems.ENGINES)} there, not"
            f" {values['systems']}."
        )
    given = [f"--setting={kind}"] if not kinds else [f"--{kind}"]
    given += [
        f"--{name}={values[name]}"
        for name in ("systems", "sweeps", "rounds", "steps", "seeds")
        if flags.FLAGS[name].present and values[name] is not None
    ]
    return SpeedFlags(
        kind,
        chosen,
        sweeps,
        values["rounds"],
        values["steps"],
        values["seeds"],
        pythons,
        values["render_only"],
        Path(values["results_dir"]),
        Path(values["page"]),
        " ".join(["python -m benchmarks.speed", *given]),
    )


def _words(flag: str, text: str, known: dict) -> list[str]:
    words = list(dict.fromkeys(word for word in text.split(",") if word))
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        raise UserError(
            f"--{flag}={text}: {f'{wrong[0]!r} is none of' if wrong else 'name at least one of'}"
            f" {', '.join(known)}."
        )
    return words


def _help(argv: Sequence[str]) -> str:
    lines = [
        f"{argv[0]} --setting=anchor",
        "",
        *textwrap.wrap(
            "Times dqn_tf and other DQNs at the same work, in rounds that take turns, each run in a"
            " process of its own. Adds a row per run to benchmarks/results/speed*.csv, prints a"
            " table and writes docs/speed.md. A peer that is not installed is skipped. Run it on a"
            " machine that does nothing else.",
            100,
        ),
        "",
    ]
    for name in MEANT:
        default = flags.FLAGS[name].default
        lines += [
            f"  --{name}" + (f"={default}" if default and not isinstance(default, bool) else ""),
            *textwrap.wrap(
                flags.FLAGS[name].help, 100, initial_indent=" " * 6, subsequent_indent=" " * 6
            ),
        ]
    return "\n".join(lines)


def main(wanted: SpeedFlags) -> None:
    """Measures, records, renders. Raises UserError after all else is done if a run failed."""
    # so that a running process is ended too
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    failures: list[str] = []
    if not wanted.render_only:
        date = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        try:
            wanted.results_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--results_dir={wanted.results_dir} cannot be made a directory: {error.strerror}."
            ) from error
        try:
            failures = (solve if wanted.kind == "solve" else measure)(wanted, date)
        except KeyboardInterrupt:
            print("Stopped. What was measured so far is recorded.")
            sys.exit(130)
    render(wanted)
    if failures:
        raise UserError(" ".join(failures))


def measure(wanted: SpeedFlags, date: str) -> list[str]:
    """Runs all rounds, each row recorded as it comes; returns a sentence for each run that failed."""
    from benchmarks.scores import records
    from benchmarks.speed import records
    from benchmarks.speed import rounds as speed_rounds

    todo = jobs(wanted)
    name = f"speed_{wanted.kind}" if wanted.kind in KINDS else "speed"
    failures = []
    for done, (job, number, answer) in enumerate(
        speed_rounds.run(todo, wanted.rounds, wanted.pythons), 1
    ):
        what = (
            f"{job.system.name}, {job.name}{'' if job.value is None else f' {job.value:,}'}, round"
            f" {number}"
        )
        if "error" in answer:
            failures.append(f"{what}: {answer['error'].strip().rstrip('.')}.")
            print(f"failed: {failures[-1]}", flush=True)
            continue
        row = records.row(job, number, answer, date, wanted.command)
        records.append(wanted.results_dir / f"{name}.csv", row)
        print(
            f"{done} of {len(todo) * wanted.rounds}: {what}: {row.env_steps_per_second:,.0f} env"
            f" steps/s, {row.steps:,} in {row.seconds:.1f} s, {row.wall_seconds:.1f} s in all;"
            f" {row.threads}",
            flush=True,
        )
    return failures


def jobs(wanted: SpeedFlags) -> list:
    """One round. Says of each system that is left out, why. Raises UserError if none is left."""
    from benchmarks.speed.rounds import Job

    found = []
    for system in wanted.systems:
        if reason := systems.why_not(system, wanted.pythons.get(system.key, sys.executable)):
            print(reason, flush=True)
            continue
        print(f"{system.name}: {system.threads}", flush=True)
        found.append(system)
    if not found:
        raise UserError("None of the systems asked for can run here.")
    if wanted.kind in SETTINGS:
        base = SETTINGS[wanted.kind]
        base = dataclasses.replace(base, steps=wanted.steps or base.steps)
        todo = [(wanted.kind, None, base)]
    elif wanted.kind == "memory":
        todo = [
            ("memory", value, settings.swept("memory", value, wanted.steps))
            for value in settings.MEMORY
        ]
    else:
        todo = [
            (sweep, value, settings.swept(sweep, value, wanted.steps))
            for sweep in wanted.sweeps
            for value in SWEEPS[sweep]
        ]
        if "seeds" in wanted.sweeps and any(not system.seeds for system in found):
            print(
                "Several seeds at once are trained by"
                f" {' and '.join(system.name for system in found if system.seeds) or 'none of these'}"
                " only."
            )
    result = []
    for name, value, setting in todo:
        for system in found:
            work = setting
            if name == "seeds" and not system.seeds:
                continue
            if not system.grows and (setting.filled or setting.num_envs > 1):
                if name != "memory" or value != settings.MEMORY[0]:
                    print(
                        f"{system.name} is left out of {name} {value:,}: here it runs with one"
                        " environment and a replay that fills by itself."
                    )
                    continue
                work = dataclasses.replace(setting, filled=False)
            envs = setting.num_envs if name == "envs" else max(system.envs, setting.num_envs)
            result.append(Job(system, dataclasses.replace(work, num_envs=envs), name, value))
    return result


def solve(wanted: SpeedFlags, date: str) -> list[str]:
    """Runs train.py with each seed on each engine; returns a sentence for each run that failed."""
    from benchmarks.scores import records
    from benchmarks.speed import time_to_solve

    failures = []
    for seed, engine in itertools.product(
        range(wanted.seeds), (system.key for system in wanted.systems)
    ):
        try:
            row = time_to_solve.run(engine, seed, date, wanted.command)
        except UserError as error:
            failures.append(str(error))
            print(f"failed: {error}", flush=True)
            continue
        records.append(wanted.results_dir / "speed_solve.csv", row)
        print(
            f"{engine}, seed {seed}: {row.score:.1f} in {row.wall_seconds:.1f} s,"
            f" {'solved' if row.solved else 'not solved'}",
            flush=True,
        )
    return failures


def render(wanted: SpeedFlags) -> None:
    """Prints the tables, draws the pictures and writes the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.scores.summary import aligned
    from benchmarks.speed import page as speed_page
    from benchmarks.speed import plot, records, summary

    speed, scaling, memory, solved = (
        records.read(wanted.results_dir, name) for name in records.FILES
    )
    tables = {
        name: (
            summary.HEADER,
            summary.speed_lines(records.newest(speed, setting=name)),
        )
        for name in SETTINGS
    }
    sweeps = {sweep: rows for sweep in SWEEPS if (rows := records.newest(scaling, setting=sweep))}
    tables["scaling"] = (
        summary.GROWTH_HEADER,
        [line for sweep, rows in sweeps.items() for line in summary.growth_lines(sweep, rows)],
    )
    tables["memory"] = (
        summary.MEMORY_HEADER,
        summary.memory_lines(records.newest(memory)),
    )
    tables["solve"] = (
        summary.SOLVE_HEADER,
        summary.solve_lines(records.newest(solved)) if solved else [],
    )
    for name, (header, lines) in tables.items():
        if lines and (wanted.render_only or name == wanted.kind):
            print(f"\n{name}\n{aligned([header, *lines])}")
    try:
        for sweep, rows in sweeps.items():
            plot.growth(sweep, rows, speed_page.picture(wanted.results_dir, sweep))
        wanted.page.write_text(speed_page.render(wanted.results_dir, wanted.page), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from error


if __name__ == "__main__":
    command_line.run(main, parse)
