"""Loads the embedded server: python -m benchmarks.serving --model=saved_models/CartPole-v1."""

import datetime
import os
import platform
import signal
import sys
import textwrap
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

from absl import flags

from dqn_tf.evaluation.find_export import find_export
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

HERE = Path(__file__).resolve().parent.parent
TRANSPORTS, BATCHES, CLIENTS = ("rest", "grpc"), (1, 8, 64), (1, 4, 16, 32)
MEANT = (
    "model",
    "quick",
    "rounds",
    "seconds",
    "requests",
    "reloads",
    "transports",
    "batching",
    "pin",
    "render_only",
    "results_dir",
    "page",
    "verbose",
)
QUICK = {"rounds": 1, "seconds": 0.3, "reloads": 2}
PACKAGES = ("tensorflow", "grpcio", "aiohttp", "numpy")


class ServingFlags(NamedTuple):
    """What is to be measured and where it is recorded."""

    model: str
    rounds: int
    seconds: float
    requests: int
    reloads: int
    batches: tuple[int, ...]
    clients: tuple[int, ...]
    transports: tuple[str, ...]
    batching: tuple[str, ...]
    pin: bool
    render_only: bool
    results_dir: Path
    page: Path
    command: str


def parse(argv: Sequence[str]) -> ServingFlags:
    """Reads the flags. Raises UserError; exits after `--help`."""
    flags.DEFINE_string(
        "model",
        "saved_models/CartPole-v1",
        "what is served: a version, or a directory of versions (the newest is taken)",
    )
    flags.DEFINE_bool(
        "quick",
        False,
        "half a minute instead of many: one short round of half the sizes, and two new versions",
    )
    flags.DEFINE_integer("rounds", 3, "each cell is measured once in each", lower_bound=1)
    flags.DEFINE_float("seconds", 2.0, "of one cell at most", lower_bound=0.05, upper_bound=60)
    flags.DEFINE_integer(
        "requests", 20_000, "of one cell at most", lower_bound=100, upper_bound=1_000_000
    )
    flags.DEFINE_integer(
        "reloads", 20, "new versions under load; 0 leaves that out", lower_bound=0, upper_bound=1000
    )
    flags.DEFINE_string("transports", ",".join(TRANSPORTS), "which, separated by commas")
    flags.DEFINE_string("batching", "off,on", "without --enable_batching, with it, or both")
    flags.DEFINE_bool(
        "pin", True, "the server has one core for itself, the clients have the others"
    )
    flags.DEFINE_bool(
        "render_only",
        False,
        "run nothing; write table, picture and docs/serving_speed.md anew from the records",
    )
    flags.DEFINE_string(
        "results_dir", os.path.relpath(HERE / "results"), "where serving*.csv and its picture lie"
    )
    flags.DEFINE_string(
        "page", os.path.relpath(HERE.parent / "docs" / "serving_speed.md"), "the page to write"
    )
    flags.DEFINE_bool("verbose", False, "tracebacks")
    values = command_line.parse(["python -m benchmarks.serving", *argv[1:]], _help)
    chosen = {
        name: _words(name, values[name], known)
        for name, known in (("transports", TRANSPORTS), ("batching", ("off", "on")))
    }
    given = [
        f"--{name}={values[name]}"
        for name in MEANT[:-4]
        if name not in ("quick", "pin") and flags.FLAGS[name].present
    ]
    values |= {
        name: value
        for name, value in QUICK.items()
        if values["quick"] and not flags.FLAGS[name].present
    }
    ends = slice(None, None, 2) if values["quick"] else slice(None)
    return ServingFlags(
        values["model"],
        values["rounds"],
        values["seconds"],
        values["requests"],
        values["reloads"],
        BATCHES[ends],
        CLIENTS[ends],
        **chosen,
        pin=values["pin"],
        render_only=values["render_only"],
        results_dir=Path(values["results_dir"]),
        page=Path(values["page"]),
        command=" ".join(
            [
                "python -m benchmarks.serving",
                *["--quick"] * values["quick"],
                *["--nopin"] * (not values["pin"]),
                *given,
            ]
        ),
    )


def _words(flag: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word for word in text.split(",") if word))
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        raise UserError(
            f"--{flag}={text}: {f'{wrong[0]!r} is none of' if wrong else 'name at least one of'}"
            f" {', '.join(known)}."
        )
    return words


def _help(argv: Sequence[str]) -> str:
    lines = [
        f"{argv[0]} --quick",
        "",
        *textwrap.wrap(
            "Loads the embedded server with closed-loop clients over REST and gRPC, on this machine"
            " alone, with and without batching, and while new versions come; against the SavedModel"
            " called in process. Adds rows to benchmarks/results/serving*.csv, prints a table and"
            " writes docs/serving_speed.md. Run it on a machine that does nothing else.",
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


def main(wanted: ServingFlags) -> None:
    """Measures, records, renders. Raises UserError."""
    # so that the processes are ended, too
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if not wanted.render_only:
        missing = [package for package in PACKAGES if not _version(package)]
        if missing:
            raise UserError(
                f"{' and '.join(missing)} not installed. Type: pip install -e '.[serving]'"
            )
        version = find_export(wanted.model).path
        try:
            wanted.results_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"--results_dir={wanted.results_dir} cannot be made a directory: {error.strerror}."
            ) from error
        measure(wanted, version.resolve())
    render(wanted)


def measure(wanted: ServingFlags, version: Path) -> None:
    """Runs all rounds and the reloads, each row recorded as it comes."""
    from benchmarks.scores import records
    from benchmarks.serving import records
    from benchmarks.serving import rounds as serving_rounds
    from benchmarks.speed import stopwatch

    cores = serving_rounds.apart() if wanted.pin else serving_rounds.Cores()
    shared = {
        "model": wanted.model,
        "placed": str(cores),
        "versions": ", ".join(
            [
                *(f"{name} {_version(name)}" for name in ("dqn_tf", *PACKAGES)),
                f"python {platform.python_version()}",
            ]
        ),
        "machine": stopwatch.machine(),
        "date": datetime.datetime.now().isoformat(sep=" ", timespec="seconds"),
        "command": wanted.command,
    }
    cells = [
        cell
        for batch in wanted.batches
        for cell in (
            serving_rounds.Cell(serving_rounds.FLOOR, "off", batch, 1),
            *(
                serving_rounds.Cell(transport, batching, batch, clients)
                for transport in wanted.transports
                for batching in wanted.batching
                for clients in wanted.clients
            ),
        )
    ]
    bounds = serving_rounds.Bounds(wanted.seconds, wanted.requests)
    for number, cell, answer in serving_rounds.measure(
        cells, version, bounds, wanted.rounds, cores
    ):
        _say_errors(cell, answer)
        numbers = {
            name: round(answer[name], 4)
            for name in ("requests", "errors", "seconds", "requests_per_second", "p50_ms", "p99_ms")
        }
        records.append(
            wanted.results_dir / "serving.csv",
            records.Row(**cell._asdict(), round=number, **numbers, **shared),
        )
        print(
            f"round {number}: {cell.transport}, batching {cell.batching}, batch {cell.batch},"
            f" clients {cell.clients}: p50 {answer['p50_ms']:.2f} ms, p99 {answer['p99_ms']:.2f}"
            f" ms, {answer['requests_per_second']:,.0f} requests/s, {answer['errors']} errors",
            flush=True,
        )
    for transport in wanted.transports if wanted.reloads else ():
        cell = serving_rounds.Cell(transport, wanted.batching[0], 1, 8)
        answer = serving_rounds.reload(cell, version, wanted.reloads, cores)
        _say_errors(cell, answer)
        swaps, memory = answer["swap_seconds"], answer["rss_mib"]
        row = records.Reload(
            **cell._asdict(),
            reloads=wanted.reloads,
            requests=answer["requests"],
            errors=answer["errors"],
            p50_ms=round(answer["p50_ms"], 4),
            p99_ms=round(answer["p99_ms"], 4),
            swap_p50_seconds=round(median(swaps), 3),
            swap_max_seconds=round(max(swaps), 3),
            rss_first_mib=round(memory[0], 1),
            rss_last_mib=round(memory[-1], 1),
            **shared,
        )
        records.append(wanted.results_dir / "serving_reloads.csv", row)
        print(
            f"{wanted.reloads} new versions, {transport}, 8 clients: {answer['requests']:,}"
            f" requests, {answer['errors']} errors, available {row.swap_p50_seconds:.2f} s after"
            f" the rename, at most {row.swap_max_seconds:.2f}",
            flush=True,
        )


def _say_errors(cell: tuple, answer: dict) -> None:
    for kind, count in answer["error_kinds"].items():
        print(f"{count} times in {cell}: {kind}", flush=True)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def render(wanted: ServingFlags) -> None:
    """Prints the tables, draws the picture and writes the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.scores.summary import aligned
    from benchmarks.serving import page as serving_page
    from benchmarks.serving import plot, records

    rows = records.read(wanted.results_dir, "serving")
    for batch in sorted({row.batch for row in rows}):
        print(
            f"\n{batch} a"
            f" request\n{aligned([serving_page.HEADER, *serving_page.load_lines(rows, batch)])}"
        )
    try:
        if rows:
            plot.draw(rows, serving_page.picture(wanted.results_dir))
        wanted.page.write_text(
            serving_page.render(wanted.results_dir, wanted.page), encoding="utf-8"
        )
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from error


if __name__ == "__main__":
    command_line.run(main, parse)
