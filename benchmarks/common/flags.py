"""Flags and outcomes that the benchmark commands share: where records lie, what is rendered."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from absl import flags

from benchmarks.common.processes import ROOT
from dqn_tf.support import command_line
from dqn_tf.support.errors import UserError

RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"


def define_output_flags(values: flags.FlagValues, family: str, page: Path, records: str) -> None:
    """Define the flags of where one family of benchmarks writes; it has a folder in RESULTS.

    `records` says what lies in the folder.
    """
    flags.DEFINE_bool(
        "render_only",
        False,
        f"run nothing; write tables, pictures and docs/{page.name} anew from the records",
        flag_values=values,
    )
    command_line.define_path(
        "results_dir",
        os.path.relpath(RESULTS / family),
        f"where {records} lie",
        values,
    )
    command_line.define_path("page", os.path.relpath(page), "the page to write", values)


def parse_seeds(text: str) -> list[int]:
    """Read seeds that are separated by commas; none if the text is empty. Raises UserError."""
    words = text.split(",") if text else []
    for word in words:
        if not word.isdecimal():
            raise UserError(f"--seeds: '{word}' is no whole number from 0 up.")
    return [int(word) for word in words]


def typed(values: flags.FlagValues, names: Sequence[str]) -> list[str]:
    """List those of the flags that stand on the command line, as `--name=value`."""
    present = [values[name] for name in names if values[name].present]
    return [f"--{flag.name}={flag.value}" for flag in present if flag.value is not None]


def make_results_dir(directory: Path) -> None:
    """Make the directory of the records. Raises UserError if it cannot be made."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--results_dir={directory} cannot be made a directory: {error.strerror}."
        ) from error


@contextlib.contextmanager
def writing_files() -> Iterator[None]:
    """Turn an OSError within into a UserError that names the file."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}.") from error


def exit_on_sigterm() -> None:
    """Make SIGTERM an ordinary exit, so that running children are ended too."""

    def leave(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
