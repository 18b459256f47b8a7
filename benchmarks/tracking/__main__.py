"""Measures how much slower a training is while its run is sent to a tracker.

python -m benchmarks.tracking --to=mlflow
"""

import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from benchmarks.common import machine, records
from benchmarks.common.flags import RESULTS, exit_on_sigterm, make_results_dir
from benchmarks.common.processes import ROOT, environment, last_line
from benchmarks.common.report import verdict
from benchmarks.common.tables import markdown
from benchmarks.tracking.records import FOLLOWED, KINDS, PARTS, Row, cost
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.tracker import TRACKERS, require_packages

AIM = 0.98  # of the speed without
FILE = "runs.csv"
HELP = f"""
    Trains in pairs, in turn without a follower and with one, in processes of their own, and
    compares the environment steps per second of the training itself (collecting, learning,
    recording, checkpoints). Both of a pair have the same seed. A row for each finished run goes to
    benchmarks/results/tracking/{FILE}; runs that are there are not done again, so the same command
    goes on after a stop. Run it on a machine that does nothing else. With --cores=1 the follower
    has no core of its own.
    """


class Options(NamedTuple):
    """The flags' values."""

    to: str
    pairs: int
    cores: int
    env: str
    total_steps: int
    results_dir: str


def parse(argv: Sequence[str]) -> Options:
    """Read the flags. Raises UserError; exits after `--help`."""

    def help_page(command: str, values: flags.FlagValues) -> str:
        return command_line.help_page([command], HELP, {"": command_line.entries(values)})

    values = command_line.parse(argv, define, help_page)
    options = Options(*(getattr(values, name) for name in Options._fields))
    require_packages(options.to)
    if options.cores > machine.cores():
        raise UserError(f"--cores={options.cores}: there are {machine.cores()}.")
    return options


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    to: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_enum("to", "mlflow", list(TRACKERS), "the tracker", **to)
    flags.DEFINE_integer("pairs", 10, "runs without and with a follower", lower_bound=1, **to)
    flags.DEFINE_integer("cores", 2, "that training and follower share", lower_bound=1, **to)
    flags.DEFINE_string("env", "CartPole-v1", "the environment", **to)
    flags.DEFINE_integer("total_steps", 100_000, "of each run", lower_bound=1, **to)
    command_line.define_path(
        "results_dir", os.path.relpath(RESULTS / "tracking"), "where the record lies", values
    )


def main(options: Options) -> None:
    """Do the runs that are not recorded yet, then print the table."""
    exit_on_sigterm()
    directory = Path(options.results_dir)
    make_results_dir(directory)
    file = directory / FILE
    done = {(row.pair, row.kind) for row in _rows(file, options)}
    for pair in range(1, options.pairs + 1):
        for kind in KINDS:
            if (pair, kind) not in done:
                row = measure(options, pair, kind)
                records.append(file, row)
                print(f"pair {pair}, {kind}: {row.env_steps / row.seconds:,.0f} steps/s {row.sent}")
    print("\n".join(table(options, _rows(file, options))))


def measure(options: Options, pair: int, kind: str) -> Row:
    """Train once. Raises UserError if the run fails, or if not all was sent."""
    with tempfile.TemporaryDirectory(prefix="dqn_tf-") as directory:
        words = [
            f"--env={options.env}",
            f"--total_steps={options.total_steps}",
            f"--seed={pair}",
            f"--run_dir={directory}/run",
            f"--export_dir={directory}/export",
        ]
        done = subprocess.run(
            [
                sys.executable,
                ROOT / "train.py",
                *words,
                *[f"--track={options.to}"] * (kind == FOLLOWED),
            ],
            cwd=directory,
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: _share_cores(options.cores),
        )
        if done.returncode != 0:
            raise UserError(f"train.py {' '.join(words)} failed: {last_line(done.stderr)}")
        sent = last_line(done.stdout) if kind == FOLLOWED else ""
        if kind == FOLLOWED and not sent.startswith("Sent to"):
            raise UserError(f"train.py --track={options.to} did not send all: {sent}")
        report = json.loads(Path(directory, "run", "evaluation.json").read_text(encoding="utf-8"))
    return Row(
        date=datetime.date.today().isoformat(),
        machine=machine.describe(),
        to=options.to,
        cores=options.cores,
        env=options.env,
        total_steps=options.total_steps,
        pair=pair,
        kind=kind,
        env_steps=report["env_steps"],
        seconds=sum(report["timings"][part] for part in PARTS),
        sent=sent,
        **records.provenance(),
    )


def table(options: Options, rows: Sequence[Row]) -> list[str]:
    """Return the lines of the table."""
    result = cost(rows)
    header = ["tracker", "cores", "pairs", "alone", "followed", "ratio", f"at least {AIM}"]
    line = [
        options.to,
        str(options.cores),
        str(result.pairs),
        f"{result.plain:,.0f} steps/s",
        f"{result.followed:,.0f} steps/s",
        f"{result.ratio:.3f} [{result.low:.3f}, {result.high:.3f}]",
        verdict(result.ratio >= AIM),
    ]
    return markdown(header, [line])


def _rows(file: Path, options: Options) -> list[Row]:
    """Read the rows of these options."""
    key = (options.to, options.cores, options.env, options.total_steps)
    return [
        row
        for row in records.read(file, Row)
        if (row.to, row.cores, row.env, row.total_steps) == key and row.pair <= options.pairs
    ]


def _share_cores(number: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


if __name__ == "__main__":
    command_line.run(main, parse)
