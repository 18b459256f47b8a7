"""Where the wall time of a process that trains goes."""

import contextlib
import os
import statistics
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

PARTS = (
    "import",  # from the start of the process until TensorFlow is loaded
    "build",  # networks, environments and engines; a checkpoint read on --resume
    "compile",  # what the slowest block took beyond the median one
    "collect",  # environment steps taken and stored; 0 where they are one program with the updates
    "learn",  # the rest of all blocks: updates
    "evaluate",  # evaluations between blocks and the final test
    "record",  # rows of metrics.csv and of TensorBoard
    "checkpoint",
    "export",
    "plot",
)


class Timings:
    """Seconds of wall time by part (PARTS). Runs of several seeds in one process share them."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._blocks = array("d")  # seconds of each block

    def add(self, part: str, seconds: float) -> None:
        """Add to one of PARTS."""
        self._seconds[part] += seconds

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of the `with` block to one of PARTS."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def add_block(self, seconds: float, collect_seconds: float) -> None:
        """Add one block of the engine, and how much of it was collecting.

        `compile` and `learn` follow from all blocks.
        """
        self._blocks.append(seconds)
        self._seconds["collect"] += collect_seconds

    def to_dict(self) -> dict[str, float]:
        """Return the seconds so far, by part in the order of PARTS, rounded to milliseconds."""
        seconds = dict(self._seconds)
        if self._blocks:
            seconds["compile"] = max(self._blocks) - statistics.median(self._blocks)
            seconds["learn"] = sum(self._blocks) - seconds["compile"] - seconds["collect"]
        return {part: round(value, 3) for part, value in seconds.items()}


def seconds_since_process_start() -> float:
    """Return the age of this process, to 10 ms; 0 where the system does not tell (not Linux)."""
    try:
        # the name, in brackets, may hold spaces; field 22 of proc(5) is the start in clock ticks
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        start = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - start)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
