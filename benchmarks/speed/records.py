"""The records of speed: one row per run, in CSV files whose names begin with `speed`."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.scores import records
from benchmarks.speed.rounds import Job


class Row(NamedTuple):
    """One timed run."""

    setting: str  # or the sweep that it is part of
    value: int | None  # of the sweep
    system: str
    round: int
    env: str
    num_envs: int
    steps: int  # environment steps timed
    seconds: float  # their wall time
    env_steps_per_second: float
    wall_seconds: float  # of the whole process
    import_rss_mib: float  # the most memory held when all libraries were loaded
    peak_rss_mib: float  # and in the whole run
    replay_bytes_per_transition: float
    # `step:microseconds per step` of each tenth of the steps timed, separated by spaces
    tenths: str
    work: str
    threads: str
    versions: str
    machine: str
    date: str  # when the command began: the same for all its rows
    command: str

    def points(self) -> list[tuple[int, float]]:
        """`tenths` as numbers."""
        return [
            (int(step), float(cost))
            for step, cost in (point.split(":") for point in self.tenths.split())
        ]


class Solved(NamedTuple):
    """One whole `train.py`.

    All that ends in `_seconds` is wall time, and apart from the first a part of it; None is not
    known.
    """

    env: str
    engine: str
    seed: int
    env_steps: int
    wall_seconds: float
    import_seconds: float | None
    build_seconds: float | None
    compile_seconds: float | None
    train_seconds: float | None
    evaluate_seconds: float | None
    record_seconds: float | None
    checkpoint_seconds: float | None
    export_seconds: float | None
    plot_seconds: float | None
    other_seconds: float | None
    score: float  # mean return of the test: greedy episodes, last weights
    episodes: int
    threshold: float
    threads: str
    versions: str
    machine: str
    date: str
    command: str

    @property
    def solved(self) -> bool:
        """Whether the test is at or above Gymnasium's threshold."""
        return self.score >= self.threshold


FILES = {"speed": Row, "speed_scaling": Row, "speed_memory": Row, "speed_solve": Solved}


def row(job: Job, number: int, answer: dict[str, Any], date: str, command: str) -> Row:
    """The record of one run, from what its process answered."""
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in answer.items()
    }
    return Row(
        **rounded,
        setting=job.name,
        value=job.value,
        system=job.system.name,
        round=number,
        env=job.setting.env,
        num_envs=job.setting.num_envs,
        work=job.setting.work(),
        date=date,
        command=command,
    )


def read(directory: Path, name: str) -> list[Any]:
    """All rows of one of FILES. Raises UserError on a file that is not a record."""
    return records.read(directory / f"{name}.csv", FILES[name])


def newest(rows: list[Any], *, setting: str | None = None) -> list[Any]:
    """Those of the last command that recorded any; with `setting`, any of that setting."""
    chosen = [one for one in rows if setting is None or one.setting == setting]
    last = max((one.date for one in chosen), default="")
    return [one for one in chosen if one.date == last]
