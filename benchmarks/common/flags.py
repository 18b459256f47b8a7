"""Flags and outcomes that the benchmark commands share: where records lie, what is rendered."""

import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from absl import flags

from benchmarks.common.processes import ROOT
from dqn_tf.support.errors import UserError

RESULTS = ROOT / "benchmarks" / "results"
DOCS = ROOT / "docs"
OUTPUT_FLAGS = ("render_only", "results_dir", "page", "verbose")


def define_output_flags(family: str, page: Path, records: str) -> None:
    """Define OUTPUT_FLAGS for one family of benchmarks, which has a folder in RESULTS.

    `records` says what lies in the folder.
    """
    flags.DEFINE_bool(
        "render_only",
        False,
        f"run nothing; write tables, pictures and docs/{page.name} anew from the records",
    )
    flags.DEFINE_string("results_dir", os.path.relpath(RESULTS / family), f"where {records} lie")
    flags.DEFINE_string("page", os.path.relpath(page), "the page to write")
    flags.DEFINE_bool("verbose", False, "tracebacks")


def comma_separated(flag: str, text: str, choices: Collection[str]) -> list[str]:
    """Split a flag's value into words, each once. Raises UserError unless all are `choices`."""
    words = list(dict.fromkeys(word for word in text.split(",") if word))
    unknown = [word for word in words if word not in choices]
    if unknown:
        raise UserError(f"--{flag}={text}: {unknown[0]!r} is none of {', '.join(choices)}.")
    if not words:
        raise UserError(f"--{flag}={text}: name at least one of {', '.join(choices)}.")
    return words


def typed(names: Sequence[str]) -> list[str]:
    """List those of the flags that stand on the command line, as `--name=value`."""
    present = [flags.FLAGS[name] for name in names if flags.FLAGS[name].present]
    return [f"--{flag.name}={flag.value}" for flag in present if flag.value is not None]


def help_page(usage: str, text: str, names: Sequence[str], defaults: dict[str, str]) -> str:
    """Build a help page: usage, text, and each flag with its default and what it means."""
    lines = [usage, "", *textwrap.wrap(text, 100), ""]
    for name in names:
        default = defaults.get(name, flags.FLAGS[name].default)
        shown = f"={default}" if default and not isinstance(default, bool) else ""
        lines.append(f"  --{name}{shown}")
        lines += textwrap.wrap(
            flags.FLAGS[name].help, 100, initial_indent=" " * 6, subsequent_indent=" " * 6
        )
    return "\n".join(lines)


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
