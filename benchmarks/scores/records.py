"""The record of runs: one CSV per environment, one row per finished run."""

import csv
import datetime
import fcntl
import io
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, get_args

import gymnasium as gym
import numpy as np

import dqn_tf
from benchmarks.scores.variants import config_hash, settings
from dqn_tf.config.dqn_config import DQNConfig
from dqn_tf.envs.registry import directory_name
from dqn_tf.support.errors import UserError


class Row(NamedTuple):
    """One run.

    Steps are environment steps; `curve` is `step:mean return` of each greedy evaluation, separated
    by spaces.
    """

    env: str
    variant: str
    seed: int
    config_hash: str
    total_steps: int
    score: float  # mean of the final test, last weights
    score_best: float  # the same with the weights that were best in `curve`
    threshold: float | None  # Gymnasium's own
    steps_to_threshold: int | None
    seconds: float  # wall clock of collecting and learning
    cpu_seconds: float
    env_steps_per_second: float
    updates: int
    dqn_tf: str
    tensorflow: str
    gymnasium: str
    numpy: str
    python: str
    date: str
    settings: str  # flags of train.py
    curve: str

    def points(self) -> np.ndarray:
        """The curve as numbers [T, 2]."""
        return np.array([point.split(":") for point in self.curve.split()], float).reshape(-1, 2)


def row(config: DQNConfig, variant: str, result: dict[str, Any], threshold: float | None) -> Row:
    """The record of one finished run, from what `benchmarks.scores.run_one` gave."""
    reached = next(
        (step for step, value in result["curve"] if threshold is not None and value >= threshold),
        None,
    )
    return Row(
        config.env,
        variant,
        config.seed,
        config_hash(config),
        config.total_steps,
        round(result["score"], 4),
        round(result["score_best"], 4),
        threshold,
        reached,
        round(result["seconds"], 2),
        round(result["cpu_seconds"], 2),
        round(config.total_steps / result["seconds"], 1),
        result["updates"],
        dqn_tf.__version__,
        metadata.version("tensorflow"),
        gym.__version__,
        np.__version__,
        platform.python_version(),
        datetime.date.today().isoformat(),
        settings(config),
        " ".join(f"{step}:{value:.6g}" for step, value in result["curve"]),
    )


def files(directory: Path) -> list[Path]:
    """The records of scores there; those of speed and of serving lie beside them."""
    return sorted(
        file for file in directory.glob("*.csv") if not file.name.startswith(("speed", "serving"))
    )


def path(directory: Path, env: str) -> Path:
    """Where the environment's rows lie."""
    return directory / f"{directory_name(env)}.csv"


def append(file: Path, new: NamedTuple) -> None:
    """Adds a row at once and for good; half a row that a crash left is cut off first.

    Raises UserError if it cannot be written.
    """
    try:
        with file.open("a+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            content = stream.read()
            stream.truncate(content.rfind(b"\n") + 1)
            lines = [] if b"\n" in content else [new._fields]
            stream.write(_lines([*lines, ["" if value is None else value for value in new]]))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def read(file: Path, kind: type[NamedTuple] = Row) -> list[Any]:
    """All whole rows, each a `kind`, in the order of their ends.

    Raises UserError on a file that is not a record.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        header, *rows = csv.reader(whole) if whole else [list(kind._fields)]
        if header != list(kind._fields):
            raise ValueError("its columns are not those of this version")
        return [
            kind(
                *(_value(name, text, kind) for name, text in zip(kind._fields, values, strict=True))
            )
            for values in rows
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}.") from error


def _value(name: str, text: str, kind: type[NamedTuple] = Row) -> Any:
    convert, *optional = get_args(kind.__annotations__[name]) or (kind.__annotations__[name],)
    return None if optional and not text else convert(text)


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
