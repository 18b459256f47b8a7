"""Loads the embedded server: python -m benchmarks.serving --model=saved_models/CartPole-v1."""

import datetime
import platform
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import flags

from benchmarks.common import flags as common_flags
from benchmarks.common import machine
from dqn_tf import __version__
from dqn_tf.evaluation.find_export import find_export
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

if TYPE_CHECKING:
    from benchmarks.serving.rounds import Cell

TRANSPORTS = ("rest", "grpc")
BATCHING = ("off", "on")
BATCHES: tuple[int, ...] = (1, 8, 64)
CLIENTS: tuple[int, ...] = (1, 4, 16, 32)
RELOAD_CLIENTS = 8
RECORDED_FLAGS = (  # part of a row's command
    "model",
    "rounds",
    "seconds",
    "requests",
    "reloads",
    "transports",
    "batching",
)
QUICK = {"rounds": 1, "seconds": 0.3, "reloads": 2}
PACKAGES = ("tensorflow", "grpcio", "aiohttp", "numpy")
HELP = (
    "Loads the embedded server with closed-loop clients over REST and gRPC, on this machine alone,"
    " with and without batching, and while new versions come; against the SavedModel called in"
    " process. Adds rows to benchmarks/results/serving/*.csv, prints a table and writes"
    " docs/serving_speed.md. Run it on a machine that does nothing else."
)


class ServingFlags(NamedTuple):
    """What is to be measured and where it is recorded."""

    model: str
    rounds: int
    seconds: float
    requests: int
    reloads: int
    batches: tuple[int, ...]
    clients: tuple[int, ...]
    transports: list[str]
    batching: list[str]
    pin: bool
    render_only: bool
    results_dir: Path
    page: Path
    command: str


def parse(argv: Sequence[str]) -> ServingFlags:
    """Read the flags. Raises UserError; exits after `--help`."""
    values = command_line.parse(argv, define, _help_page)
    command = ["python -m benchmarks.serving"]
    batches = BATCHES
    clients = CLIENTS
    quick: dict[str, Any] = {}
    if values.quick:
        command.append("--quick")
        batches = BATCHES[::2]
        clients = CLIENTS[::2]
        quick = {name: QUICK[name] for name in QUICK if not values[name].present}
    if not values.pin:
        command.append("--nopin")
    command += common_flags.typed(values, RECORDED_FLAGS)
    return ServingFlags(
        model=values.model,
        rounds=quick.get("rounds", values.rounds),
        seconds=quick.get("seconds", values.seconds),
        requests=values.requests,
        reloads=quick.get("reloads", values.reloads),
        batches=batches,
        clients=clients,
        transports=command_line.words("transports", values.transports, TRANSPORTS),
        batching=command_line.words("batching", values.batching, BATCHING),
        pin=values.pin,
        render_only=values.render_only,
        results_dir=Path(values.results_dir),
        page=Path(values.page),
        command=" ".join(command),
    )


def define(values: flags.FlagValues) -> None:
    """Define all flags: the load, its length, and where it is recorded."""
    _define_load_flags(values)
    _define_length_flags(values)
    page = common_flags.DOCS / "serving_speed.md"
    common_flags.define_output_flags(values, "serving", page, "the CSV files and their picture")


def _define_load_flags(values: flags.FlagValues) -> None:
    command_line.define_path(
        "model",
        "saved_models/CartPole-v1",
        "what is served: a version, or a directory of versions (the newest is taken)",
        values,
    )
    flags.DEFINE_string(
        "transports",
        ",".join(TRANSPORTS),
        "which, separated by commas",
        flag_values=values,
    )
    flags.DEFINE_string(
        "batching",
        ",".join(BATCHING),
        "without --enable_batching, with it, or both",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "pin",
        True,
        "the server has one core for itself, the clients have the others",
        flag_values=values,
    )


def _define_length_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_bool(
        "quick",
        False,
        "half a minute instead of many: one short round of half the sizes, and two new versions",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rounds",
        3,
        "each cell is measured once in each",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_float(
        "seconds",
        2.0,
        "of one cell at most",
        lower_bound=0.05,
        upper_bound=60,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "requests",
        20_000,
        "of one cell at most",
        lower_bound=100,
        upper_bound=1_000_000,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "reloads",
        20,
        "new versions under load; 0 leaves that out",
        lower_bound=0,
        upper_bound=1000,
        flag_values=values,
    )


def _help_page(command: str, values: flags.FlagValues) -> str:
    sections = {"": command_line.entries(values)}
    return command_line.help_page([f"{command} --quick"], HELP, sections)


def main(options: ServingFlags) -> None:
    """Measure, record, render. Raises UserError."""
    common_flags.exit_on_sigterm()
    if not options.render_only:
        installed = machine.versions(PACKAGES)
        missing = [package for package in PACKAGES if package not in installed]
        if missing:
            raise UserError(
                f"{' and '.join(missing)} not installed. Type: pip install -e '.[serving]'"
            )
        version = find_export(options.model).path
        common_flags.make_results_dir(options.results_dir)
        measure(options, version.resolve())
    render(options)


def measure(options: ServingFlags, version: Path) -> None:
    """Run all rounds and the reloads, and record each row as it comes."""
    from benchmarks.serving import rounds

    cores = rounds.separate_cores() if options.pin else rounds.Cores()
    versions = {"dqn_tf": __version__} | machine.versions(PACKAGES)
    versions["python"] = platform.python_version()
    shared: dict[str, Any] = {
        "model": options.model,
        "placed": str(cores),
        "versions": machine.show_versions(versions),
        "machine": machine.describe(),
        "date": datetime.datetime.now().isoformat(sep=" ", timespec="seconds"),
        "command": options.command,
    }
    bounds = rounds.Bounds(options.seconds, options.requests)
    answers = rounds.measure(cells(options), version, bounds, options.rounds, cores)
    for number, cell, answer in answers:
        _record_cell(options.results_dir, number, cell, answer, shared)
    if options.reloads:
        for transport in options.transports:
            cell = rounds.Cell(transport, options.batching[0], 1, RELOAD_CLIENTS)
            answer = rounds.reload(cell, version, options.reloads, cores)
            _record_reloads(options.results_dir, cell, answer, shared)


def cells(options: ServingFlags) -> "list[Cell]":
    """List the cells of one round: for each batch the floor, then every way to ask a server."""
    from benchmarks.serving.rounds import FLOOR, Cell

    all_cells = []
    for batch in options.batches:
        all_cells.append(Cell(FLOOR, "off", batch, 1))
        for transport in options.transports:
            for batching in options.batching:
                all_cells += [
                    Cell(transport, batching, batch, clients) for clients in options.clients
                ]
    return all_cells


def _record_cell(
    results: Path, number: int, cell: "Cell", answer: dict[str, Any], shared: dict[str, Any]
) -> None:
    from benchmarks.common.records import append
    from benchmarks.serving import records

    _print_errors(cell, answer)
    measured = {
        name: round(answer[name], 4)
        for name in ("requests", "errors", "seconds", "requests_per_second", "p50_ms", "p99_ms")
    }
    row = records.Row(**cell._asdict(), round=number, **measured, **shared)
    append(records.path(results, "load"), row)
    print(
        f"round {number}: {cell.transport}, batching {cell.batching}, batch {cell.batch},"
        f" clients {cell.clients}: p50 {answer['p50_ms']:.2f} ms, p99 {answer['p99_ms']:.2f}"
        f" ms, {answer['requests_per_second']:,.0f} requests/s, {answer['errors']} errors",
        flush=True,
    )


def _record_reloads(
    results: Path, cell: "Cell", answer: dict[str, Any], shared: dict[str, Any]
) -> None:
    from benchmarks.common.records import append
    from benchmarks.serving import records

    _print_errors(cell, answer)
    swap_seconds = answer["swap_seconds"]
    rss_mib = answer["rss_mib"]
    row = records.Reload(
        **cell._asdict(),
        reloads=answer["reloads"],
        requests=answer["requests"],
        errors=answer["errors"],
        p50_ms=round(answer["p50_ms"], 4),
        p99_ms=round(answer["p99_ms"], 4),
        swap_p50_seconds=round(median(swap_seconds), 3),
        swap_max_seconds=round(max(swap_seconds), 3),
        rss_first_mib=round(rss_mib[0], 1),
        rss_last_mib=round(rss_mib[-1], 1),
        **shared,
    )
    append(records.path(results, "reloads"), row)
    print(
        f"{row.reloads} new versions, {cell.transport}, {cell.clients} clients: {row.requests:,}"
        f" requests, {row.errors} errors, available {row.swap_p50_seconds:.2f} s after"
        f" the rename, at most {row.swap_max_seconds:.2f}",
        flush=True,
    )


def _print_errors(cell: "Cell", answer: dict[str, Any]) -> None:
    for kind, count in answer["error_kinds"].items():
        print(f"{count} times in {cell}: {kind}", flush=True)


def render(options: ServingFlags) -> None:
    """Print the tables, draw the picture and write the page.

    Raises UserError if a file cannot be written.
    """
    from benchmarks.common import tables
    from benchmarks.serving import page, plot, records

    rows = records.read(options.results_dir, "load")
    for batch in sorted({row.batch for row in rows}):
        table = tables.aligned([page.HEADER, *page.load_lines(rows, batch)])
        print(f"\n{batch} a request\n{table}")
    with common_flags.writing_files():
        if rows:
            plot.draw(rows, page.picture(options.results_dir))
        text = page.render(options.results_dir, options.page)
        options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    command_line.run(main, parse)
