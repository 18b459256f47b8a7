"""The records of the load test, in the CSV files of FILES."""

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import records
from benchmarks.serving.rounds import Cell


class Row(NamedTuple):
    """One cell of one round."""

    transport: str  # rest, grpc, or in process
    batching: str  # on or off
    batch: int  # observations in a request
    clients: int
    round: int
    requests: int  # answered
    errors: int
    seconds: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    model: str
    placed: str  # which process runs on which cores
    versions: str
    machine: str
    date: str  # when the command began: the same for all its rows
    command: str

    @property
    def cell(self) -> Cell:
        """The cell that was measured."""
        return Cell(self.transport, self.batching, self.batch, self.clients)


class Reload(NamedTuple):
    """New versions under load."""

    transport: str
    batching: str
    batch: int
    clients: int
    reloads: int
    requests: int
    errors: int
    p50_ms: float
    p99_ms: float
    swap_p50_seconds: float  # from a version's rename until it is AVAILABLE
    swap_max_seconds: float
    rss_first_mib: float  # the server's memory after the first of the new versions
    rss_last_mib: float
    model: str
    placed: str
    versions: str
    machine: str
    date: str
    command: str


# file name, without .csv: what its rows are
FILES: dict[str, type[Row] | type[Reload]] = {"load": Row, "reloads": Reload}


def path(directory: Path, name: str) -> Path:
    """Return the file of one of FILES."""
    return directory / f"{name}.csv"


def read(directory: Path, name: str) -> list[Any]:
    """Read the newest rows of one of FILES: those of the last command that recorded any.

    Raises UserError on a file that is not a record.
    """
    return records.newest(records.read(path(directory, name), FILES[name]))
