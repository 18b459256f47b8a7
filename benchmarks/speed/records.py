"""The records of speed: one row per run, in the CSV files of FILES."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import records
from benchmarks.speed.jobs import Job


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
        """Return `tenths` as numbers."""
        pairs = [point.split(":") for point in self.tenths.split()]
        return [(int(step), float(cost)) for step, cost in pairs]


# parts of a whole train.py; in `dqn_tf.training.timings`, `train` is collect and learn
PARTS = (
    "import",
    "build",
    "compile",
    "train",
    "evaluate",
    "record",
    "checkpoint",
    "export",
    "plot",
)


class Solved(NamedTuple):
    """One whole `train.py`.

    Every `..._seconds` is wall time; all but the first are parts of `wall_seconds`. None is not
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
        """True if the test is at or above Gymnasium's threshold."""
        return self.score >= self.threshold


# file name, without .csv: what its rows are
FILES: dict[str, type[Row] | type[Solved]] = {
    "settings": Row,
    "scaling": Row,
    "memory": Row,
    "solve": Solved,
}


def row(job: Job, number: int, answer: dict[str, Any], date: str, command: str) -> Row:
    """Make the record of one run, from what its process answered."""
    measured: dict[str, Any] = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in answer.items()
    }
    return Row(
        **measured,
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


def path(directory: Path, name: str) -> Path:
    """Return the file of one of FILES."""
    return directory / f"{name}.csv"


def read(directory: Path, name: str) -> list[Any]:
    """Read all rows of one of FILES. Raises UserError on a file that is not a record."""
    return records.read(path(directory, name), FILES[name])


def newest(rows: list[Row], setting: str) -> list[Row]:
    """Select the newest measurement of one setting or sweep."""
    return records.newest([row for row in rows if row.setting == setting])
