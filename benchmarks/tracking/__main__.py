"""Measures how much slower a training is while its run is sent to a tracker.

python -m benchmarks.tracking --to=mlflow,wandb,trackio
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

from benchmarks.common import flags as common_flags
from benchmarks.common import machine, records
from benchmarks.common.processes import ROOT, environment, last_line
from benchmarks.common.report import write_between
from benchmarks.tracking import page
from benchmarks.tracking.records import FILE, FOLLOWED, KINDS, PARTS, Row
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError
from dqn_tf.tracking.tracker import TRACKERS, require_packages

HELP = f"""
    Trains in pairs, in turn without a follower and with one, in processes of their own, and
    compares the environment steps per second of the training itself (collecting, learning,
    recording, checkpoints). Both of a pair have the same seed. A row for each finished run goes to
    benchmarks/results/tracking/{FILE}; runs that are there are not done again, so the same command
    goes on after a stop. Then writes the table of docs/tracking.md. Run it on a machine that does
    nothing else. With --cores=1 the follower has no core of its own.
    """


class Options(NamedTuple):
    """The flags' values."""

    to: list[str]
    pairs: int
    cores: int
    env: str
    total_steps: int
    render_only: bool
    results_dir: Path
    page: Path


def parse(argv: Sequence[str]) -> Options:
    """Read the flags. Raises UserError; exits after `--help`."""

    def help_page(command: str, values: flags.FlagValues) -> str:
        return command_line.help_page([command], HELP, {"": command_line.entries(values)})

    values = command_line.parse(argv, define, help_page)
    to = command_line.words("to", values.to, TRACKERS)
    if not values.render_only:
        for name in to:
            require_packages(name)
    if values.cores > machine.cores():
        raise UserError(f"--cores={values.cores}: there are {machine.cores()}.")
    return Options(
        to,
        values.pairs,
        values.cores,
        values.env,
        values.total_steps,
        values.render_only,
        Path(values.results_dir),
        Path(values.page),
    )


def define(values: flags.FlagValues) -> None:
    """Define all flags."""
    to: dict[str, Any] = {"flag_values": values}
    names = ",".join(TRACKERS)
    flags.DEFINE_string("to", "mlflow", f"the trackers, by commas: {names}", **to)
    flags.DEFINE_integer("pairs", 10, "runs without and with a follower", lower_bound=1, **to)
    flags.DEFINE_integer("cores", 2, "that training and follower share", lower_bound=1, **to)
    flags.DEFINE_string("env", "CartPole-v1", "the environment", **to)
    flags.DEFINE_integer("total_steps", 3_000_000, "of each run: some minutes", lower_bound=1, **to)
    output = common_flags.DOCS / "tracking.md"
    common_flags.define_output_flags(values, "tracking", output, FILE)


def main(options: Options) -> None:
    """Do the runs that are not recorded yet, then write the page."""
    common_flags.exit_on_sigterm()
    common_flags.make_results_dir(options.results_dir)
    file = options.results_dir / FILE
    if not options.render_only:
        for to in options.to:
            measure_pairs(options, to, file)
    text = page.costs(records.read(file, Row))
    with common_flags.writing_files():
        write_between(options.page, *page.COSTS, text)
    print(text)


def measure_pairs(options: Options, to: str, file: Path) -> None:
    """Do the runs for one tracker that are not recorded yet."""
    work = (to, options.cores, options.env, options.total_steps)
    done = {(row.pair, row.kind) for row in records.read(file, Row) if row.work == work}
    for pair in range(1, options.pairs + 1):
        for kind in KINDS:
            if (pair, kind) not in done:
                row = measure(options, to, pair, kind)
                records.append(file, row)
                speed = f"{row.env_steps / row.seconds:,.0f} steps/s"
                print(f"{to}, pair {pair}, {kind}: {speed} {row.sent}", flush=True)


def measure(options: Options, to: str, pair: int, kind: str) -> Row:
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
                *[f"--track={to}"] * (kind == FOLLOWED),
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
            raise UserError(f"train.py --track={to} did not send all: {sent}")
        sent = sent.replace(f"{directory}/", "")
        report = json.loads(Path(directory, "run", "evaluation.json").read_text(encoding="utf-8"))
    return Row(
        date=datetime.date.today().isoformat(),
        machine=machine.describe(),
        to=to,
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


def _share_cores(number: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


if __name__ == "__main__":
    command_line.run(main, parse)
